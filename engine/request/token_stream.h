#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "kernels/result.h"
#include "kernels/sampling.h"

namespace krait {

enum class FinishReason : std::uint8_t { kStop, kLength, kAborted, kError };

/// Counts that become `usage`, and times for the latency histograms.
struct RequestStats {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  int preemptions = 0;
  std::chrono::steady_clock::time_point arrival;
  std::chrono::steady_clock::time_point first_scheduled;
  std::chrono::steady_clock::time_point first_token;
  std::chrono::steady_clock::time_point last_token;
};

/// What one step gave to one request: a span of tokens (one, or several with drafts), or its end, or both.
struct TokenEvent {
  std::vector<SampledToken> tokens;
  /// Tokens of the prompt, scored because of EngineRequest::prompt_logprobs: in order from its second token on.
  std::vector<SampledToken> prompt{};
  /// Rows of raw logits asked for by PromptLogits or generated_logits, each [vocab], in the order of positions.
  std::vector<std::vector<float>> logits;
  std::optional<FinishReason> finish;      ///< set on the last event
  std::optional<std::int32_t> stop_token;  ///< the stop token that ended it; it is in `tokens` too
  std::optional<Error> error;              ///< with FinishReason::kError
  RequestStats stats;                      ///< valid on the last event, running values before
};

/// The way of one request's events from the engine's thread to one reader. Unbounded by design: its events are bounded
/// by max_tokens.
class TokenStream {
 public:
  /// Engine's side. Calls the listener outside the lock.
  void push(TokenEvent event);

  /// Reader's side: the next event, if there is one.
  std::optional<TokenEvent> try_pop();
  /// Waits for the next event. Never returns after the last event has been taken: do not call it then.
  TokenEvent pop();
  /// Called on the engine's thread after every push; must not block. Called at once, on this thread, when events
  /// already wait: two calls may then run at a time, and whoever takes events in them must see to their order. Replaces
  /// the last one.
  void set_listener(std::function<void()> listener);

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<TokenEvent> events_;
  std::function<void()> listener_;
};

}  // namespace krait
