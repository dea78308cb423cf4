#include "server/service/answer_record.h"

#include <utility>

namespace krait::server {
namespace {

Json call_json(const ToolCallDelta& call) {
  Json arguments = call.arguments;
  if (Result<Json> value = parse_json(call.arguments.empty() ? "{}" : call.arguments, "arguments"); value.ok()) {
    arguments = std::move(*value);
  }
  return {
      {"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}};
}

}  // namespace

void AnswerRecord::add(const Delta& delta) {
  for (const OutputToken& token : delta.tokens) ids_.push_back(token.chosen.id);
  content_ += delta.text;
  reasoning_ += delta.reasoning;
  for (const ToolCallDelta& piece : delta.tool_calls) {
    if (calls_.empty() || calls_.back().index != piece.index) {
      calls_.push_back(piece);
    } else {
      calls_.back().arguments += piece.arguments;
    }
  }
}

Json AnswerRecord::message() const { return message_after({{"role", "assistant"}, {"content", ""}}); }

Json AnswerRecord::message_after(Json begun) const {
  Json& content = begun["content"];
  if (content.is_array()) {
    content.push_back({{"type", "text"}, {"text", content_}});
  } else {
    content = (content.is_string() ? content.get<std::string>() : std::string()) + content_;
  }
  if (!reasoning_.empty()) begun["reasoning_content"] = reasoning_;
  if (calls_.empty()) return begun;
  Json calls = Json::array();
  for (const ToolCallDelta& call : calls_) calls.push_back(call_json(call));
  begun["tool_calls"] = std::move(calls);
  return begun;
}

}  // namespace krait::server
