#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/chat/chat_input.h"
#include "server/service/output_format.h"

namespace krait::server {

/// One prompt: text (encoded with the tokenizer's special tokens), or ids as they are.
using Prompt = std::variant<std::string, std::vector<std::int32_t>>;

/// Sampling as callers state it; unset means the default. Types are checked at the edges, ranges in `validation.h`.
struct SamplingOptions {
  std::optional<double> temperature;
  std::optional<std::int64_t> top_k;  ///< 0 or -1: off
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<std::uint64_t> seed;
  std::optional<std::int64_t> max_tokens;  ///< completions: 16; chat: what is left of the context
  std::optional<std::int64_t> min_tokens;
  bool ignore_eos = false;
  std::vector<std::int64_t> stop_token_ids;
  std::map<std::int64_t, double> logit_bias;
  /// nullopt: none; n: of the chosen token and of the n best.
  std::optional<std::int64_t> logprobs;
};

enum class ToolChoiceMode : std::uint8_t { kNone, kAuto, kRequired, kNamed };

/// Which of the tools the answer may, or must, call.
struct ToolSelection {
  ToolChoiceMode mode = ToolChoiceMode::kAuto;
  std::string name;  ///< with kNamed
};

/// The one request of all front ends: HTTP, gRPC and the command line fill it and call `Service::generate`. It has
/// every field that is coming; one that is not served yet is refused by name when it is set (see `validation.h`).
struct GenerationRequest {
  std::string id;     ///< empty: the service makes one
  std::string model;  ///< empty: the only model, or the first
  std::vector<Prompt> prompts;
  std::optional<ChatInput> chat;  ///< instead of prompts
  SamplingOptions sampling;
  std::vector<std::string> stop;
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
  bool add_special_tokens = true;
  std::int64_t n = 1;
  /// Completions: so many answers are generated, and the n likeliest of them (by mean log-probability) given; nullopt:
  /// n. Not with `stream`.
  std::optional<std::int64_t> best_of;
  bool stream = false;
  bool return_token_ids = false;
  /// Completions: the answer begins with the prompt; with logprobs its tokens are scored, and max_tokens may be 0.
  bool echo = false;
  /// What the answer must look like; of a reasoning model, what follows its reasoning.
  std::optional<OutputFormat> output_format;
  ToolSelection tool_choice;  ///< of chat->tools
  bool parallel_tool_calls = true;
  bool include_reasoning = true;  ///< false: reasoning is generated, and not shown

  /// Answers that are generated for each prompt.
  [[nodiscard]] std::int64_t candidates() const { return best_of.value_or(n); }

  std::int64_t priority = 0;      ///< the lower number goes first
  std::optional<double> timeout;  ///< seconds after its arrival at which a request that has not ended fails
  std::string cache_salt;
  std::string session;  ///< the name of the one to go on with; empty: none

  // Not served yet.
  std::string adapter;
};

}  // namespace krait::server
