#include "server/openai/request_parser.h"

#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

#include "server/openai/chat_fields.h"
#include "server/openai/field_reader.h"
#include "server/openai/format_fields.h"
#include "server/openai/tool_fields.h"
#include "server/service/json_text.h"
#include "server/service/parameter_ranges.h"

namespace krait::server {
namespace {

Error unsupported(const std::string& field, const std::string& message) {
  return Error{.code = ErrorCode::kUnsupported, .message = message, .field = field};
}

/// Fields that change what may be generated and that nobody serves yet: ignoring one would answer another question than
/// was asked.
constexpr std::array<std::string_view, 16> kRefusedFields = {
    "functions",         "function_call",         "guided_decoding_backend", "suffix",    "use_beam_search",
    "prompt_logprobs",   "logprob_token_ids",     "allowed_token_ids",       "bad_words", "truncate_prompt_tokens",
    "prompt_embeds",     "thinking_token_budget", "length_penalty",          "audio",     "prediction",
    "web_search_options"};

/// Values that mean "nothing asked for" and so are harmless.
bool is_empty_value(const Json& value) {
  return value == false || value == "" || value == 1.0 || ((value.is_array() || value.is_object()) && value.empty());
}

/// Names the first such field that asks for something.
void refuse_unserved(FieldReader& reader) {
  for (std::string_view name : kRefusedFields) {
    const Json* value = reader.find(std::string(name));
    if (value == nullptr || is_empty_value(*value)) continue;
    reader.fail(
        unsupported(std::string(name), std::string(name) + " is not served by this version of Krait; leave it out"));
  }
}

/// Keys are ids as text, because JSON has no other keys.
void read_logit_bias(FieldReader& reader, SamplingOptions& sampling) {
  const Json* biases = reader.object("logit_bias");
  if (biases == nullptr) return;
  for (const auto& [key, value] : biases->items()) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) {
      return reader.fail("logit_bias", "an object whose keys are token ids", Json(key));
    }
    if (!value.is_number())
      return reader.fail("logit_bias", "an object whose values are numbers between -100 and 100", value);
    sampling.logit_bias[id] = value.get<double>();
  }
}

/// Fields that both endpoints share.
void read_sampling(FieldReader& reader, GenerationRequest& request) {
  SamplingOptions& sampling = request.sampling;
  sampling.temperature = reader.number("temperature");
  sampling.top_k = reader.integer("top_k");
  sampling.top_p = reader.number("top_p");
  sampling.min_p = reader.number("min_p");
  sampling.repetition_penalty = reader.number("repetition_penalty");
  sampling.presence_penalty = reader.number("presence_penalty");
  sampling.frequency_penalty = reader.number("frequency_penalty");
  sampling.seed = reader.seed("seed");
  sampling.max_tokens = reader.integer("max_tokens");
  sampling.min_tokens = reader.integer("min_tokens");
  sampling.ignore_eos = reader.flag("ignore_eos", false);
  sampling.stop_token_ids = reader.integers("stop_token_ids");
  read_logit_bias(reader, sampling);
  request.stop = reader.texts("stop");
  request.include_stop_str_in_output = reader.flag("include_stop_str_in_output", false);
  request.skip_special_tokens = reader.flag("skip_special_tokens", true);
  request.return_token_ids = reader.flag("return_token_ids", false);
  request.n = reader.integer("n").value_or(1);
  request.best_of = reader.integer("best_of");
}

/// Fields that shape the stream and not the answer.
void read_stream(FieldReader& reader, OpenAiRequest& request) {
  request.generation.stream = reader.flag("stream", false);
  const Json* options = reader.object("stream_options");
  if (options == nullptr) return;
  FieldReader nested(*options, "stream_options.");
  request.include_usage = nested.flag("include_usage", false);
  if (const Status status = nested.status(); !status.ok()) reader.fail(status.error());
  for (const std::string& name : nested.unknown()) request.ignored_fields.push_back("stream_options." + name);
}

/// Fields that the service refuses by name itself.
void read_service_fields(FieldReader& reader, GenerationRequest& request) {
  request.model = reader.text("model").value_or("");
  request.priority = reader.integer("priority").value_or(0);
  request.timeout = reader.number("timeout");
  request.cache_salt = reader.text("cache_salt").value_or("");
  request.session = reader.text("session").value_or("");
  request.echo = reader.flag("echo", false);
  // Known and without meaning here: an end user's name and bookkeeping that some clients always send.
  for (const char* name : {"user", "metadata", "store", "service_tier"}) reader.find(name);
}

/// One number in front decides: a list of ids that goes wrong later is reported as such.
bool is_id_list(const Json& value) { return value.is_array() && !value.empty() && value.front().is_number(); }

/// Ids outside 32 bits are refused here; ids outside the vocabulary by the service, which knows it.
std::optional<Prompt> read_ids(FieldReader& reader, const Json& list) {
  std::vector<std::int32_t> ids;
  for (const Json& item : list) {
    const auto id = as_integer(item);
    if (!id.has_value() || *id < std::numeric_limits<std::int32_t>::min() ||
        *id > std::numeric_limits<std::int32_t>::max()) {
      reader.fail("prompt", "a list of token ids", item);
      return std::nullopt;
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

/// Mixed lists of texts and ids are allowed: each item is a prompt of its own.
void read_prompt(FieldReader& reader, GenerationRequest& request) {
  constexpr const char* kExpected = "a string, a list of token ids, or a list of either";
  const Json* value = reader.find("prompt");
  if (value == nullptr) return reader.fail("prompt", kExpected, nullptr);
  if (value->is_string()) return request.prompts.push_back(value->get<std::string>());
  if (!value->is_array() || value->empty()) return reader.fail("prompt", kExpected, *value);
  if (is_id_list(*value)) {
    if (auto prompt = read_ids(reader, *value)) request.prompts.push_back(std::move(*prompt));
    return;
  }
  for (const Json& item : *value) {
    if (item.is_string())
      request.prompts.emplace_back(item.get<std::string>());
    else if (is_id_list(item)) {
      if (auto prompt = read_ids(reader, item)) request.prompts.push_back(std::move(*prompt));
    } else {
      reader.fail("prompt", kExpected, item);
    }
  }
}

/// What only the chat endpoint has; max_completion_tokens wins over its old name.
void read_chat(FieldReader& reader, OpenAiRequest& request) {
  GenerationRequest& generation = request.generation;
  generation.chat = read_chat_input(reader);
  read_tool_choice(reader, generation);
  generation.include_reasoning = reader.flag("include_reasoning", true);
  if (const auto limit = reader.integer("max_completion_tokens")) generation.sampling.max_tokens = limit;
  request.logprobs = reader.flag("logprobs", false);
  const auto top = reader.integer("top_logprobs");
  if (top.has_value() && *top != 0 && !request.logprobs) {
    reader.fail(Error{.code = ErrorCode::kInvalidArgument,
                      .message = "top_logprobs needs logprobs to be true, found false",
                      .field = "top_logprobs"});
  }
  const ParameterRange* range = find_range("top_logprobs");
  if (top.has_value() && !range->contains(static_cast<double>(*top))) {
    reader.fail(range_error(*range, std::to_string(*top)));
  }
  if (request.logprobs) generation.sampling.logprobs = top.value_or(0);
}

/// What only the completions endpoint has; its logprobs are a number.
void read_completions(FieldReader& reader, OpenAiRequest& request) {
  read_prompt(reader, request.generation);
  request.generation.add_special_tokens = reader.flag("add_special_tokens", true);
  request.generation.sampling.logprobs = reader.integer("logprobs");
  request.logprobs = request.generation.sampling.logprobs.has_value();
}

}  // namespace

Result<OpenAiRequest> parse_openai_request(ApiKind kind, const Json& body) {
  OpenAiRequest request;
  request.kind = kind;
  FieldReader reader(body);
  read_service_fields(reader, request.generation);
  read_sampling(reader, request.generation);
  read_stream(reader, request);
  if (kind == ApiKind::kChat)
    read_chat(reader, request);
  else
    read_completions(reader, request);
  refuse_unserved(reader);
  request.generation.output_format = read_output_format(reader);
  if (Status status = reader.status(); !status.ok()) return status.error();
  for (std::string& name : reader.unknown()) request.ignored_fields.push_back(std::move(name));
  return request;
}

}  // namespace krait::server
