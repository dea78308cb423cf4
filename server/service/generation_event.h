#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/request/token_stream.h"
#include "kernels/result.h"
#include "server/chat/output/message_delta.h"

namespace krait::server {

/// One candidate of a position: the bytes that it would add to the text (special tokens are spelt out), which may be
/// half a character.
struct CandidateToken {
  std::int32_t id = 0;
  std::string bytes;
  float logprob = 0.0F;
};

/// One generated token.
struct OutputToken {
  CandidateToken chosen;  ///< logprob is 0 when none were asked for
  std::vector<CandidateToken> top;
  std::int64_t text_offset = 0;  ///< where its text begins in the answer, in characters
};

/// The request is admitted: everything that could be wrong with it has been checked. Always the first event, unless it
/// is an Error.
struct Started {
  std::int64_t prompt_tokens = 0;  ///< of all prompts
};

/// The prompt of one choice, where it was asked for (`echo`, `return_token_ids`): once, before the choice's first
/// Delta.
struct PromptEcho {
  int index = 0;
  std::vector<std::int32_t> ids;
  std::string text;  ///< as it was given, or the text of the ids; empty unless echo
  /// With echo and log-probabilities: one a token. The first has none, for nothing stands before it.
  std::vector<OutputToken> tokens;
};

/// A piece of one choice. Text is valid UTF-8. A token appears once all of its text has, so it may lag behind its
/// computation; `text` may be empty and so may `tokens`.
struct Delta {
  int index = 0;
  std::string text{};  ///< of a chat: its content
  std::vector<OutputToken> tokens{};
  std::string reasoning{};                  ///< what the model thought, without its markers
  std::vector<ToolCallDelta> tool_calls{};  ///< in order; several may belong to one call
};

/// The end of one choice. All of its deltas come before.
struct ChoiceFinished {
  int index = 0;
  FinishReason reason = FinishReason::kStop;  ///< kStop or kLength
  std::optional<std::string> stop_string;     ///< what ended it, when it was a stop string …
  std::optional<std::int32_t> stop_token;     ///< … or a stop token
  /// The answer has calls that the model chose to make: "tool_calls" is then the reason, where it would be "stop".
  bool called_tools = false;
};

struct Usage {
  std::int64_t prompt_tokens = 0;  ///< each prompt once, however many choices it has
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;  ///< the tokens of stop strings included
  std::int64_t reasoning_tokens = 0;   ///< of them
};

/// The last event of a request that went well.
struct Completed {
  Usage usage;
};

/// An Error is the last event of a request that did not; as the first event it means that nothing was generated.
using GenerationEvent = std::variant<Started, PromptEcho, Delta, ChoiceFinished, Completed, Error>;

/// True for the events after which nothing comes.
inline bool is_last(const GenerationEvent& event) {
  return std::holds_alternative<Completed>(event) || std::holds_alternative<Error>(event);
}

}  // namespace krait::server
