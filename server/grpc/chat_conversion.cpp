#include "server/grpc/chat_conversion.h"

#include <string>
#include <utility>

#include "server/openai/chat_fields.h"
#include "server/openai/field_reader.h"
#include "server/openai/format_fields.h"
#include "server/openai/tool_fields.h"

namespace krait::server {
namespace {

Json to_json(const v1::ToolCall& call) {
  return {
      {"id", call.id()}, {"type", "function"}, {"function", {{"name", call.name()}, {"arguments", call.arguments()}}}};
}

Json to_json(const v1::ChatMessage& message) {
  Json out = {{"role", message.role()}, {"content", message.content()}};
  if (!message.tool_call_id().empty()) out["tool_call_id"] = message.tool_call_id();
  if (!message.reasoning_content().empty()) out["reasoning_content"] = message.reasoning_content();
  if (message.tool_calls().empty()) return out;
  out["tool_calls"] = Json::array();
  for (const v1::ToolCall& call : message.tool_calls()) out["tool_calls"].push_back(to_json(call));
  return out;
}

/// Puts the value of a field that is JSON text into `body` under HTTP's name.
Status add_json(Json& body, const char* name, const std::string& text) {
  if (text.empty()) return ok_status();
  Result<Json> value = parse_json(text, std::string(name) + "_json");
  if (!value.ok()) {
    Error error = std::move(value).error();
    error.field = std::string(name) + "_json";
    return error;
  }
  body[name] = std::move(*value);
  return ok_status();
}

/// The body that HTTP would have got.
Result<Json> chat_body(const v1::Chat& chat) {
  Json body = {{"messages", Json::array()}};
  for (const v1::ChatMessage& message : chat.messages()) body["messages"].push_back(to_json(message));
  if (chat.has_add_generation_prompt()) body["add_generation_prompt"] = chat.add_generation_prompt();
  if (chat.has_continue_final_message()) body["continue_final_message"] = chat.continue_final_message();
  if (chat.has_parallel_tool_calls()) body["parallel_tool_calls"] = chat.parallel_tool_calls();
  const Status statuses[] = {
      add_json(body, "tools", chat.tools_json()),
      add_json(body, "tool_choice", chat.tool_choice_json()),
      add_json(body, "documents", chat.documents_json()),
      add_json(body, "template_kwargs", chat.template_kwargs_json()),
  };
  for (const Status& status : statuses) {
    if (!status.ok()) return status.error();
  }
  if (!body.contains("template_kwargs")) return body;
  if (!body["template_kwargs"].is_object()) {
    return Error{
        .code = ErrorCode::kInvalidArgument,
        .message = "template_kwargs_json must be a JSON object, found " + describe_value(body["template_kwargs"]),
        .field = "template_kwargs_json"};
  }
  body["chat_template_kwargs"] = body["template_kwargs"];
  return body;
}

}  // namespace

Status read_chat(const v1::Chat& chat, GenerationRequest& request) {
  const Result<Json> body = chat_body(chat);
  if (!body.ok()) return body.error();
  FieldReader reader(*body);
  request.chat = read_chat_input(reader);
  read_tool_choice(reader, request);
  return reader.status();
}

Status read_constraint(const v1::GenerateRequest& message, GenerationRequest& request) {
  const v1::Constraint& from = message.constraint();
  Json constraint = Json::object();
  switch (from.kind_case()) {
    case v1::Constraint::kJsonObject:
      constraint["json_object"] = from.json_object();
      break;
    case v1::Constraint::kJsonSchema:
      constraint["json"] = from.json_schema();
      break;
    case v1::Constraint::kRegex:
      constraint["regex"] = from.regex();
      break;
    case v1::Constraint::kGrammar:
      constraint["grammar"] = from.grammar();
      break;
    case v1::Constraint::kChoice:
      constraint["choice"] = Json::array();
      for (const std::string& value : from.choice().values()) constraint["choice"].push_back(value);
      break;
    case v1::Constraint::kStructuralTag:
      constraint["structural_tag"] = from.structural_tag();
      break;
    case v1::Constraint::KIND_NOT_SET:
      return ok_status();
  }
  const Json body = {{"structured_outputs", std::move(constraint)}};
  FieldReader reader(body);
  request.output_format = read_output_format(reader);
  return reader.status();
}

}  // namespace krait::server
