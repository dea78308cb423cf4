#include "server/service/validation.h"

#include <algorithm>
#include <string>

#include "server/service/parameter_ranges.h"

namespace krait::server {
namespace {

constexpr std::size_t kMaxStopStrings = 16;
constexpr std::size_t kMaxStopBytes = 4096;
constexpr std::size_t kMaxChoices = 1024;
constexpr int kDefaultCompletionTokens = 16;

Error invalid(std::string field, std::string message) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = std::move(message), .field = std::move(field)};
}

/// The words for a field that is understood and not served; the caller learns which one to leave out.
Error not_served(const std::string& field) {
  return Error{.code = ErrorCode::kUnsupported,
               .message = field + " is not served by this version of Krait; leave it out",
               .field = field};
}

/// Fields of GenerationRequest that are understood and not served yet.
Status check_served(const GenerationRequest& request) {
  if (!request.adapter.empty()) return not_served("adapter");
  if (request.echo && request.chat.has_value()) return not_served("echo");
  return ok_status();
}

/// A call that must be made leaves no room for an answer of another form.
Status check_output(const GenerationRequest& request) {
  const bool must_call =
      request.tool_choice.mode == ToolChoiceMode::kRequired || request.tool_choice.mode == ToolChoiceMode::kNamed;
  if (!must_call || !request.output_format.has_value()) return ok_status();
  const std::string& field = request.output_format->field;
  return invalid(field, field + " cannot be combined with a tool_choice that demands a call");
}

/// Candidates are compared when all have ended, so there is nothing to stream.
Status check_best_of(const GenerationRequest& request) {
  if (!request.best_of.has_value() || *request.best_of == request.n) return ok_status();
  const std::string found = std::to_string(*request.best_of);
  if (request.chat.has_value()) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message = "best_of is a field of completions; a chat has n only, found " + found,
                 .field = "best_of"};
  }
  if (*request.best_of < request.n) {
    return invalid("best_of", "best_of must be at least n (" + std::to_string(request.n) + "), found " + found);
  }
  if (request.stream) {
    return invalid("best_of", "best_of greater than n cannot be streamed, found " + found + " and n of " +
                                  std::to_string(request.n));
  }
  return ok_status();
}

/// A field that was not given is always right: its default is.
template <typename T>
Status check(std::string_view name, const std::optional<T>& value) {
  if (!value.has_value()) return ok_status();
  const ParameterRange* range = find_range(name);
  if (range == nullptr || range->contains(static_cast<double>(*value))) return ok_status();
  return range_error(*range, format_number(static_cast<double>(*value)));
}

/// The first wrong field in the order of the documentation, so that messages do not depend on JSON's order.
Status check_ranges(const GenerationRequest& request) {
  const SamplingOptions& sampling = request.sampling;
  const bool scores_only = request.echo && sampling.max_tokens == 0;
  const Status checks[] = {
      check("temperature", sampling.temperature),
      check("top_k", sampling.top_k),
      check("top_p", sampling.top_p),
      check("min_p", sampling.min_p),
      check("repetition_penalty", sampling.repetition_penalty),
      check("presence_penalty", sampling.presence_penalty),
      check("frequency_penalty", sampling.frequency_penalty),
      scores_only ? ok_status() : check("max_tokens", sampling.max_tokens),
      check("min_tokens", sampling.min_tokens),
      check("logprobs", sampling.logprobs),
      check("n", std::optional(request.n)),
      check("best_of", request.best_of),
      check_best_of(request),
      check("timeout", request.timeout),
  };
  for (const Status& status : checks) {
    if (!status.ok()) return status;
  }
  return ok_status();
}

/// Stop strings cost work for every byte of the answer: their number and length are bounded.
Status check_stop(const std::vector<std::string>& stop) {
  if (stop.size() > kMaxStopStrings) {
    return invalid("stop", "stop may hold at most " + std::to_string(kMaxStopStrings) + " strings, found " +
                               std::to_string(stop.size()));
  }
  for (const std::string& text : stop) {
    if (text.empty() || text.size() > kMaxStopBytes) {
      return invalid("stop", "a stop string must have between 1 and " + std::to_string(kMaxStopBytes) +
                                 " bytes, found " + std::to_string(text.size()));
    }
  }
  return ok_status();
}

Status check_id(const std::string& field, std::int64_t id, int vocab_size) {
  if (id >= 0 && id < vocab_size) return ok_status();
  return invalid(field, field + " holds the token id " + std::to_string(id) + "; valid ids are 0 to " +
                            std::to_string(vocab_size - 1));
}

/// The engine indexes logits with these ids, so none may lie outside the vocabulary.
Status check_token_ids(const SamplingOptions& sampling, const ModelLimits& limits) {
  for (std::int64_t id : sampling.stop_token_ids) {
    if (Status status = check_id("stop_token_ids", id, limits.vocab_size); !status.ok()) return status;
  }
  for (const auto& [id, bias] : sampling.logit_bias) {
    if (Status status = check_id("logit_bias", id, limits.vocab_size); !status.ok()) return status;
    if (Status status = check("logit_bias", std::optional(bias)); !status.ok()) return status;
  }
  return ok_status();
}

/// What can be checked before encoding; the lengths follow in resolve_max_tokens.
Status check_prompts(const GenerationRequest& request, const ModelLimits& limits) {
  if (request.chat.has_value()) return ok_status();
  if (request.prompts.empty()) return invalid("prompt", "prompt must not be empty");
  if (request.prompts.size() * static_cast<std::size_t>(request.candidates()) > kMaxChoices) {
    const char* count = request.candidates() == request.n ? "n" : "best_of";
    return invalid("prompt", std::string("prompts times ") + count + " must be at most " + std::to_string(kMaxChoices) +
                                 ", found " + std::to_string(request.prompts.size()) + " times " +
                                 std::to_string(request.candidates()));
  }
  for (const Prompt& prompt : request.prompts) {
    const auto* ids = std::get_if<std::vector<std::int32_t>>(&prompt);
    if (ids == nullptr) continue;
    if (Status status = check_prompt_ids(*ids, limits, "prompt"); !status.ok()) return status;
  }
  return ok_status();
}

}  // namespace

Status check_prompt_ids(const std::vector<std::int32_t>& ids, const ModelLimits& limits, const std::string& field) {
  if (ids.empty()) return invalid(field, field + " must hold at least one token");
  for (std::int32_t id : ids) {
    if (Status status = check_id(field, id, limits.vocab_size); !status.ok()) return status;
  }
  return ok_status();
}

Status validate(const GenerationRequest& request, const ModelLimits& limits) {
  if (Status status = check_served(request); !status.ok()) return status;
  if (Status status = check_output(request); !status.ok()) return status;
  if (Status status = check_ranges(request); !status.ok()) return status;
  if (Status status = check_stop(request.stop); !status.ok()) return status;
  if (Status status = check_token_ids(request.sampling, limits); !status.ok()) return status;
  return check_prompts(request, limits);
}

Result<int> resolve_max_tokens(const GenerationRequest& request, std::int64_t prompt_tokens,
                               const ModelLimits& limits) {
  const std::string context =
      "This model's maximum context length is " + std::to_string(limits.max_model_len) + " tokens; ";
  const std::string field = request.chat.has_value() ? "messages" : "prompt";
  const std::int64_t room = limits.max_model_len - prompt_tokens;
  if (room < (request.sampling.max_tokens == 0 ? 0 : 1)) {
    return invalid(field, context + "the prompt has " + std::to_string(prompt_tokens) +
                              " and leaves no room for an answer. Shorten the prompt.");
  }
  std::int64_t wanted = request.chat.has_value() ? room : std::min<std::int64_t>(kDefaultCompletionTokens, room);
  if (limits.default_max_tokens.has_value()) wanted = std::min(*limits.default_max_tokens, room);
  if (request.sampling.max_tokens.has_value()) wanted = *request.sampling.max_tokens;
  if (wanted > room) {
    return invalid("max_tokens", context + "the prompt has " + std::to_string(prompt_tokens) +
                                     " and max_tokens asks for " + std::to_string(wanted) + " more, " +
                                     std::to_string(prompt_tokens + wanted) +
                                     " together. Shorten the prompt or lower max_tokens.");
  }
  if (const std::int64_t least = request.sampling.min_tokens.value_or(0); least > wanted) {
    return invalid("min_tokens", "min_tokens must be at most max_tokens (" + std::to_string(wanted) + "), found " +
                                     std::to_string(least));
  }
  return static_cast<int>(wanted);
}

SamplingParams make_sampling_params(const GenerationRequest& request, int max_tokens, std::uint64_t seed,
                                    const std::vector<std::int32_t>& eos_token_ids) {
  const SamplingOptions& from = request.sampling;
  SamplingParams to;
  to.temperature = static_cast<float>(from.temperature.value_or(1.0));
  to.top_k = static_cast<int>(std::max<std::int64_t>(from.top_k.value_or(0), 0));
  to.top_p = static_cast<float>(from.top_p.value_or(1.0));
  to.min_p = static_cast<float>(from.min_p.value_or(0.0));
  to.repetition_penalty = static_cast<float>(from.repetition_penalty.value_or(1.0));
  to.presence_penalty = static_cast<float>(from.presence_penalty.value_or(0.0));
  to.frequency_penalty = static_cast<float>(from.frequency_penalty.value_or(0.0));
  to.seed = seed;
  to.max_tokens = max_tokens;
  to.min_tokens = static_cast<int>(from.min_tokens.value_or(0));
  to.ignore_eos = from.ignore_eos;
  for (std::int64_t id : from.stop_token_ids) to.stop_token_ids.push_back(static_cast<std::int32_t>(id));
  if (!from.ignore_eos) to.stop_token_ids.insert(to.stop_token_ids.end(), eos_token_ids.begin(), eos_token_ids.end());
  for (const auto& [id, bias] : from.logit_bias) {
    to.logit_bias.emplace_back(static_cast<std::int32_t>(id), static_cast<float>(bias));
  }
  if (from.logprobs.has_value()) to.logprobs = static_cast<int>(*from.logprobs);
  return to;
}

std::uint64_t derive_seed(std::uint64_t seed, std::int64_t choice) {
  if (choice == 0) return seed;
  // The finaliser of splitmix64: neighbouring choices get unrelated seeds.
  std::uint64_t mixed = seed + static_cast<std::uint64_t>(choice) * 0x9e3779b97f4a7c15ULL;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

}  // namespace krait::server
