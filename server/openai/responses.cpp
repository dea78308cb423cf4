#include "server/openai/responses.h"

#include <algorithm>
#include <utility>

#include "server/openai/logprobs_json.h"
#include "server/service/error_mapping.h"
#include "server/service/json_text.h"

namespace krait::server {
namespace {

/// The system fields that every body and every chunk begin with.
Json head_json(const ResponseHead& head, const char* object) {
  return {{"id", head.id}, {"object", object}, {"created", head.created}, {"model", head.model}};
}

/// The API's words; aborts and failures are errors and have none.
const char* finish_name(const ChoiceFinished& finished) {
  if (finished.reason == FinishReason::kLength) return "length";
  return finished.called_tools ? "tool_calls" : "stop";
}

/// null when none were asked for, as the API has it.
Json logprobs_json(const ResponseHead& head, const std::vector<OutputToken>& tokens) {
  if (!head.logprobs) return nullptr;
  return head.kind == ApiKind::kChat ? chat_logprobs(tokens) : completion_logprobs(tokens);
}

/// vLLM's `token_ids`: the answer as ids, for clients that detokenise themselves.
Json ids_json(const std::vector<OutputToken>& tokens) {
  Json ids = Json::array();
  for (const OutputToken& token : tokens) ids.push_back(token.chosen.id);
  return ids;
}

/// Appends pieces to the calls that they belong to.
void join_calls(std::vector<ToolCallDelta>& calls, const std::vector<ToolCallDelta>& pieces) {
  for (const ToolCallDelta& piece : pieces) {
    const auto same = std::ranges::find(calls, piece.index, &ToolCallDelta::index);
    if (same == calls.end()) {
      calls.push_back(piece);
      continue;
    }
    same->id += piece.id;
    same->name += piece.name;
    same->arguments += piece.arguments;
  }
}

Json calls_json(const std::vector<ToolCallDelta>& calls) {
  Json out = Json::array();
  for (const ToolCallDelta& call : calls) {
    out.push_back(
        {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return out;
}

/// One entry a call: clients take the entries of a call's first chunk for whole calls.
Json call_deltas_json(const std::vector<ToolCallDelta>& pieces) {
  std::vector<ToolCallDelta> calls;
  join_calls(calls, pieces);
  Json out = Json::array();
  for (const ToolCallDelta& call : calls) {
    Json entry = {{"index", call.index}};
    if (!call.name.empty()) {
      entry["id"] = call.id;
      entry["type"] = "function";
      entry["function"] = {{"name", call.name}, {"arguments", call.arguments}};
    } else {
      entry["function"] = {{"arguments", call.arguments}};
    }
    out.push_back(std::move(entry));
  }
  return out;
}

/// A chunk that is there for its tokens only has an empty content.
Json delta_json(const Delta& delta) {
  Json out = Json::object();
  if (!delta.reasoning.empty()) out["reasoning_content"] = delta.reasoning;
  if (!delta.text.empty() || (delta.reasoning.empty() && delta.tool_calls.empty())) out["content"] = delta.text;
  if (!delta.tool_calls.empty()) out["tool_calls"] = call_deltas_json(delta.tool_calls);
  return out;
}

/// vLLM's `stop_reason`: the stop string or the id of the stop token; null at the model's own end or at the limit.
Json stop_reason_json(const ChoiceFinished& finished) {
  if (finished.stop_string.has_value()) return *finished.stop_string;
  if (finished.stop_token.has_value()) return *finished.stop_token;
  return nullptr;
}

}  // namespace

std::string error_body(const Error& error) {
  const ErrorMapping& mapping = error_mapping(error.code);
  Json object = {{"message", error.message}, {"type", mapping.openai_type}, {"param", nullptr}, {"code", nullptr}};
  if (!error.field.empty()) object["param"] = error.field;
  if (!mapping.openai_code.empty()) object["code"] = mapping.openai_code;
  return dump_json({{"error", std::move(object)}});
}

std::string error_body(const std::string& message, const std::string& type, const std::string& code) {
  return dump_json({{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", code}}}});
}

Json usage_json(const Usage& usage) {
  Json out = {{"prompt_tokens", usage.prompt_tokens},
              {"completion_tokens", usage.completion_tokens},
              {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
              {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
  if (usage.reasoning_tokens > 0) {
    out["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning_tokens}};
  }
  return out;
}

Json model_json(const ServedModel& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "krait"},
          {"max_model_len", model.limits.max_model_len}};
}

Json model_list_json(const std::vector<ServedModel>& models) {
  Json data = Json::array();
  for (const ServedModel& model : models) data.push_back(model_json(model));
  return {{"object", "list"}, {"data", std::move(data)}};
}

ResponseBuilder::Choice& ResponseBuilder::choice(int index) {
  const auto at = static_cast<std::size_t>(index);
  if (at >= choices_.size()) choices_.resize(at + 1);
  return choices_[at];
}

void ResponseBuilder::add(const PromptEcho& prompt) { choice(prompt.index).prompt = prompt; }

void ResponseBuilder::add(const Delta& delta) {
  Choice& to = choice(delta.index);
  to.text += delta.text;
  to.reasoning += delta.reasoning;
  join_calls(to.calls, delta.tool_calls);
  to.tokens.insert(to.tokens.end(), delta.tokens.begin(), delta.tokens.end());
}

void ResponseBuilder::add(const ChoiceFinished& finished) { choice(finished.index).finished = finished; }

/// Content is null where there is none beside calls or reasoning, as the API has it.
Json ResponseBuilder::message_json(const Choice& choice) {
  const bool has_more = !choice.calls.empty() || !choice.reasoning.empty();
  Json message = {{"role", "assistant"}, {"content", choice.text}};
  if (choice.text.empty() && has_more) message["content"] = nullptr;
  if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
  if (!choice.calls.empty()) message["tool_calls"] = calls_json(choice.calls);
  return message;
}

Json ResponseBuilder::choice_json(const Choice& choice, std::size_t index) const {
  Json out = {{"index", index}};
  if (head_.kind == ApiKind::kChat)
    out["message"] = message_json(choice);
  else
    out["text"] = choice.prompt.text + choice.text;
  if (choice.prompt.tokens.empty()) {
    out["logprobs"] = logprobs_json(head_, choice.tokens);
  } else {
    std::vector<OutputToken> tokens = choice.prompt.tokens;
    tokens.insert(tokens.end(), choice.tokens.begin(), choice.tokens.end());
    out["logprobs"] = completion_logprobs(tokens, true);
  }
  const ChoiceFinished finished = choice.finished.value_or(ChoiceFinished{});
  out["finish_reason"] = finish_name(finished);
  out["stop_reason"] = stop_reason_json(finished);
  if (!head_.return_token_ids) return out;
  out["token_ids"] = ids_json(choice.tokens);
  if (head_.kind == ApiKind::kCompletions && !choice.prompt.ids.empty()) out["prompt_token_ids"] = choice.prompt.ids;
  return out;
}

std::string ResponseBuilder::body(const Usage& usage) const {
  Json out = head_json(head_, head_.kind == ApiKind::kChat ? "chat.completion" : "text_completion");
  out["choices"] = Json::array();
  for (std::size_t i = 0; i < choices_.size(); ++i) out["choices"].push_back(choice_json(choices_[i], i));
  // A chat has one prompt, whose ids are vLLM's field beside the choices.
  if (head_.return_token_ids && head_.kind == ApiKind::kChat && !choices_.empty() &&
      !choices_.front().prompt.ids.empty()) {
    out["prompt_token_ids"] = choices_.front().prompt.ids;
  }
  out["usage"] = usage_json(usage);
  return dump_json(out);
}

std::string sse_frame(const std::string& data) { return "data: " + data + "\n\n"; }

std::string StreamFormatter::frame(Json choice) {
  Json chunk = head_json(head_, head_.kind == ApiKind::kChat ? "chat.completion.chunk" : "text_completion");
  chunk["choices"] = Json::array({std::move(choice)});
  if (head_.include_usage) chunk["usage"] = nullptr;  // the API's form: null in every chunk but the last
  return sse_frame(dump_json(chunk));
}

/// A choice that begins with a call has null in place of the empty text, so that clients who add pieces up get null
/// too.
std::string StreamFormatter::first_chunk(int index, bool with_calls) {
  const auto at = static_cast<std::size_t>(index);
  if (at >= begun_.size()) begun_.resize(at + 1, false);
  if (head_.kind != ApiKind::kChat || begun_[at]) return {};
  begun_[at] = true;
  return frame({{"index", index},
                {"delta", {{"role", "assistant"}, {"content", with_calls ? Json(nullptr) : Json("")}}},
                {"logprobs", nullptr},
                {"finish_reason", nullptr}});
}

/// Chats show no prompt in a stream.
std::string StreamFormatter::format(const PromptEcho& prompt) {
  if (head_.kind == ApiKind::kChat) return {};
  Json choice = {{"index", prompt.index},
                 {"text", prompt.text},
                 {"logprobs", prompt.tokens.empty() ? Json(nullptr) : completion_logprobs(prompt.tokens, true)},
                 {"finish_reason", nullptr}};
  if (head_.return_token_ids) {
    choice["token_ids"] = Json::array();
    choice["prompt_token_ids"] = prompt.ids;
  }
  return frame(std::move(choice));
}

std::string StreamFormatter::format(const Delta& delta) {
  const bool has_tokens = (head_.logprobs || head_.return_token_ids) && !delta.tokens.empty();
  const bool has_text = !delta.text.empty() || !delta.reasoning.empty() || !delta.tool_calls.empty();
  if (!has_text && !has_tokens) return {};
  const std::string out = first_chunk(delta.index, delta.text.empty() && !delta.tool_calls.empty());
  Json choice = {{"index", delta.index}};
  if (head_.kind == ApiKind::kChat)
    choice["delta"] = delta_json(delta);
  else
    choice["text"] = delta.text;
  choice["logprobs"] = logprobs_json(head_, delta.tokens);
  choice["finish_reason"] = nullptr;
  if (head_.return_token_ids) choice["token_ids"] = ids_json(delta.tokens);
  return out + frame(std::move(choice));
}

std::string StreamFormatter::format(const ChoiceFinished& finished) {
  std::string out = first_chunk(finished.index);
  Json choice = {{"index", finished.index}};
  if (head_.kind == ApiKind::kChat)
    choice["delta"] = Json::object();
  else
    choice["text"] = "";
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = finish_name(finished);
  choice["stop_reason"] = stop_reason_json(finished);
  return out + frame(std::move(choice));
}

std::string StreamFormatter::format(const Completed& completed) {
  std::string out;
  if (head_.include_usage) {
    Json chunk = head_json(head_, head_.kind == ApiKind::kChat ? "chat.completion.chunk" : "text_completion");
    chunk["choices"] = Json::array();
    chunk["usage"] = usage_json(completed.usage);
    out = sse_frame(dump_json(chunk));
  }
  return out + sse_frame("[DONE]");
}

std::string StreamFormatter::frames(const GenerationEvent& event) {
  if (const auto* prompt = std::get_if<PromptEcho>(&event)) return format(*prompt);
  if (const auto* delta = std::get_if<Delta>(&event)) return format(*delta);
  if (const auto* finished = std::get_if<ChoiceFinished>(&event)) return format(*finished);
  if (const auto* completed = std::get_if<Completed>(&event)) return format(*completed);
  if (const auto* error = std::get_if<Error>(&event)) return sse_frame(error_body(*error)) + sse_frame("[DONE]");
  return {};
}

}  // namespace krait::server
