#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/sampling.h"
#include "models/tokenizer/tokenizer.h"
#include "server/service/generation_event.h"
#include "server/service/stop_matcher.h"

namespace krait::server {

struct AssemblerOptions {
  std::vector<std::string> stop;
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
  std::set<std::int32_t> shown_special_tokens{};  ///< that are not skipped all the same
  bool logprobs = false;
  std::int64_t min_tokens = 0;   ///< stop strings that end before this many tokens do not count
  std::int64_t text_offset = 0;  ///< characters before the answer (an echoed prompt)
};

/// Tokens of one choice into text: detokenises, finds stop strings, and ties tokens to text offsets. Not thread-safe:
/// one choice is worked on by one thread at a time.
class AnswerAssembler {
 public:
  /// `tokenizer` may be null: then there are tokens and no text.
  AnswerAssembler(std::shared_ptr<const Tokenizer> tokenizer, AssemblerOptions options);

  /// Takes one token; text that became certain goes to `delta`. True when a stop string was found: then `delta` has the
  /// last text, and the choice has ended. The text of a stop token is shown only if include_stop_str_in_output.
  bool push(const SampledToken& token, bool is_stop_token, Delta& delta);
  /// The end without a stop string: lets go of what was held back.
  void finish(Delta& delta);

  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  /// The stop string that was found; only after `push` has returned true.
  [[nodiscard]] const std::string& stop_string() const { return matcher_.match(); }

 private:
  struct PendingToken {
    OutputToken token;
    std::size_t begin = 0;  ///< its text in bytes of the answer
    std::size_t end = 0;
  };

  OutputToken describe(const SampledToken& token) const;
  std::string bytes_of(std::int32_t id) const;
  [[nodiscard]] bool is_hidden(std::int32_t id, bool is_stop_token) const;
  bool show(const std::string& text, Delta& delta);
  void release(std::size_t shown_bytes, bool last, Delta& delta);

  std::shared_ptr<const Tokenizer> tokenizer_;
  AssemblerOptions options_;
  std::optional<IncrementalDetokenizer> detokenizer_;
  StopMatcher matcher_;
  std::deque<PendingToken> pending_;  ///< tokens whose text has not been shown wholly
  std::int64_t tokens_ = 0;
  std::size_t decoded_bytes_ = 0;
  std::int64_t decoded_characters_ = 0;
  std::size_t shown_bytes_ = 0;
};

}  // namespace krait::server
