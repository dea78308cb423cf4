#include "server/grpc/message_conversion.h"

#include <cctype>

#include "server/grpc/chat_conversion.h"
#include "server/service/service.h"

namespace krait::server {
namespace {

/// Presence decides, never the value: a zero temperature is greedy, an unset one the default.
SamplingOptions to_sampling(const v1::Sampling& from) {
  SamplingOptions to;
  if (from.has_temperature()) to.temperature = from.temperature();
  if (from.has_top_k()) to.top_k = from.top_k();
  if (from.has_top_p()) to.top_p = from.top_p();
  if (from.has_min_p()) to.min_p = from.min_p();
  if (from.has_repetition_penalty()) to.repetition_penalty = from.repetition_penalty();
  if (from.has_presence_penalty()) to.presence_penalty = from.presence_penalty();
  if (from.has_frequency_penalty()) to.frequency_penalty = from.frequency_penalty();
  if (from.has_seed()) to.seed = from.seed();
  if (from.has_max_tokens()) to.max_tokens = from.max_tokens();
  if (from.has_min_tokens()) to.min_tokens = from.min_tokens();
  if (from.has_logprobs()) to.logprobs = from.logprobs();
  to.ignore_eos = from.ignore_eos();
  to.stop_token_ids.assign(from.stop_token_ids().begin(), from.stop_token_ids().end());
  for (const auto& [id, bias] : from.logit_bias()) to.logit_bias[id] = bias;
  return to;
}

void set_logprobs(v1::TokenLogprobs& to, const OutputToken& token) {
  const auto set = [](v1::TokenLogprob& candidate, const CandidateToken& from) {
    candidate.set_id(from.id);
    candidate.set_token(from.bytes);
    candidate.set_logprob(from.logprob);
  };
  set(*to.mutable_chosen(), token.chosen);
  to.set_text_offset(token.text_offset);
  for (const CandidateToken& candidate : token.top) set(*to.add_top(), candidate);
}

v1::Echo to_message(const PromptEcho& prompt) {
  v1::Echo out;
  out.set_index(prompt.index);
  out.set_text(prompt.text);
  out.mutable_token_ids()->Assign(prompt.ids.begin(), prompt.ids.end());
  for (const OutputToken& token : prompt.tokens) set_logprobs(*out.add_logprobs(), token);
  return out;
}

/// Ids always, log-probabilities when they were asked for.
v1::Delta to_message(const Delta& delta, bool logprobs) {
  v1::Delta out;
  out.set_index(delta.index);
  out.set_text(delta.text);
  for (const OutputToken& token : delta.tokens) {
    out.add_token_ids(token.chosen.id);
    if (logprobs) set_logprobs(*out.add_logprobs(), token);
  }
  out.set_reasoning(delta.reasoning);
  for (const ToolCallDelta& call : delta.tool_calls) {
    v1::ToolCall& to = *out.add_tool_calls();
    to.set_index(call.index);
    to.set_id(call.id);
    to.set_name(call.name);
    to.set_arguments(call.arguments);
  }
  return out;
}

v1::FinishReason to_reason(const ChoiceFinished& finished) {
  if (finished.reason == FinishReason::kLength) return v1::FINISH_REASON_LENGTH;
  return finished.called_tools ? v1::FINISH_REASON_TOOL_CALLS : v1::FINISH_REASON_STOP;
}

v1::Finished to_message(const ChoiceFinished& finished) {
  v1::Finished out;
  out.set_index(finished.index);
  out.set_reason(to_reason(finished));
  if (finished.stop_string.has_value())
    out.set_stop_string(*finished.stop_string);
  else if (finished.stop_token.has_value())
    out.set_stop_token(*finished.stop_token);
  return out;
}

/// The caller's id as it may stand in a log line.
std::string readable(const std::string& id) {
  constexpr std::size_t kMaxBytes = 64;
  std::string out = id.empty() ? "grpc" : id.substr(0, kMaxBytes);
  for (char& c : out) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.') c = '?';
  }
  return out;
}

}  // namespace

Result<GenerationRequest> to_generation_request(const v1::GenerateRequest& message) {
  GenerationRequest request;
  request.id = make_request_id(readable(message.request_id()) + "-");
  request.model = message.model();
  request.sampling = to_sampling(message.sampling());
  request.stop.assign(message.stop().begin(), message.stop().end());
  request.include_stop_str_in_output = message.include_stop_str_in_output();
  request.skip_special_tokens = !message.has_skip_special_tokens() || message.skip_special_tokens();
  if (message.has_n()) request.n = message.n();
  request.stream = true;
  request.priority = message.priority();
  request.cache_salt = message.cache_salt();
  request.session = message.session_id();
  request.adapter = message.adapter();
  request.echo = message.echo();
  request.return_token_ids = message.return_token_ids();
  request.include_reasoning = !message.has_include_reasoning() || message.include_reasoning();
  if (Status status = read_constraint(message, request); !status.ok()) return status.error();
  switch (message.input_case()) {
    case v1::GenerateRequest::kText:
      request.prompts.emplace_back(message.text());
      break;
    case v1::GenerateRequest::kTokens:
      request.prompts.emplace_back(
          std::vector<std::int32_t>(message.tokens().ids().begin(), message.tokens().ids().end()));
      break;
    case v1::GenerateRequest::kChat:
      if (Status status = read_chat(message.chat(), request); !status.ok()) return status.error();
      break;
    case v1::GenerateRequest::INPUT_NOT_SET:
      return Error{
          .code = ErrorCode::kInvalidArgument, .message = "one of text, tokens and chat must be set", .field = "input"};
  }
  return request;
}

v1::GenerateResponse to_response(const GenerationEvent& event, const std::string& request_id, const std::string& model,
                                 bool logprobs) {
  v1::GenerateResponse response;
  response.set_request_id(request_id);
  if (const auto* started = std::get_if<Started>(&event)) {
    response.mutable_started()->set_model(model);
    response.mutable_started()->set_prompt_tokens(started->prompt_tokens);
  } else if (const auto* prompt = std::get_if<PromptEcho>(&event)) {
    *response.mutable_echo() = to_message(*prompt);
  } else if (const auto* delta = std::get_if<Delta>(&event)) {
    *response.mutable_delta() = to_message(*delta, logprobs);
  } else if (const auto* finished = std::get_if<ChoiceFinished>(&event)) {
    *response.mutable_finished() = to_message(*finished);
  } else if (const auto* completed = std::get_if<Completed>(&event)) {
    v1::Usage& usage = *response.mutable_completed()->mutable_usage();
    usage.set_prompt_tokens(completed->usage.prompt_tokens);
    usage.set_cached_tokens(completed->usage.cached_tokens);
    usage.set_completion_tokens(completed->usage.completion_tokens);
    usage.set_reasoning_tokens(completed->usage.reasoning_tokens);
  }
  return response;
}

}  // namespace krait::server
