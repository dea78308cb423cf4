#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/chat/output/output_parser.h"
#include "server/service/answer_assembler.h"
#include "server/service/generation_event.h"
#include "server/service/stop_matcher.h"

namespace krait::server {

struct MessageOptions {
  AssemblerOptions text;
  /// nullopt: the text is the content, as it is. Else special tokens are shown or hidden as the formats want it, and
  /// stop strings are looked for in the content only: neither reasoning nor the arguments of a call end an answer.
  std::optional<OutputParserOptions> output{};
  bool include_reasoning = true;
};

/// Tokens of one choice into a message: content, reasoning and tool calls. Not thread-safe: one choice is worked on by
/// one thread at a time.
class MessageAssembler {
 public:
  MessageAssembler(std::shared_ptr<const Tokenizer> tokenizer, MessageOptions options);

  /// As AnswerAssembler's: takes one token, and says whether a stop string has ended the choice.
  bool push(const SampledToken& token, bool is_stop_token, Delta& delta);
  void finish(Delta& delta);

  [[nodiscard]] std::int64_t tokens() const { return text_.tokens(); }
  [[nodiscard]] const std::string& stop_string() const { return parser_ ? stop_.match() : text_.stop_string(); }
  [[nodiscard]] bool has_tool_calls() const { return parser_ && parser_->has_tool_calls(); }
  /// Tokens before the first of the answer, markers included; 0 when there was no reasoning.
  [[nodiscard]] std::int64_t reasoning_tokens() const { return reasoned_ ? tokens_before_answer_ : 0; }

 private:
  void show(MessageDelta message, Delta& delta);

  AnswerAssembler text_;
  std::optional<OutputParser> parser_;
  StopMatcher stop_;
  bool include_stop_string_;
  bool include_reasoning_;
  std::int64_t min_tokens_;
  bool reasoned_ = false;
  bool answer_begun_ = false;
  std::int64_t tokens_before_answer_ = 0;
};

}  // namespace krait::server
