#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/cache/context_image.h"
#include "engine/engine_stats.h"
#include "engine/request/engine_request.h"
#include "engine/request/token_stream.h"
#include "kernels/result.h"

namespace krait {

struct Submission {
  std::uint64_t key = 0;
  EngineRequest request;
  std::shared_ptr<TokenStream> stream;
  std::chrono::steady_clock::time_point arrival;
};

struct Cancellation {
  std::uint64_t key = 0;
  FinishReason reason = FinishReason::kAborted;
};

struct CancelEverything {};

struct ContextExport {
  std::string salt;
  std::vector<std::int32_t> tokens;
  std::promise<Result<ContextImage>> done;
};

struct ContextImport {
  ContextImage image;
  std::promise<Status> done;
};

/// From the disk tier: what was asked for.
struct PrefixArrival {
  std::vector<ContextImage> images;
};

using EngineCommand =
    std::variant<Submission, Cancellation, CancelEverything, ContextExport, ContextImport, PrefixArrival>;

/// Everything that the engine's thread shares with its callers: commands on the way in, and what callers may know of
/// the engine on the way out. One mutex, held for a few assignments at a time and never while anybody else's code runs.
class EngineInbox {
 public:
  explicit EngineInbox(int max_queue) : max_queue_(max_queue) {}

  // Callers' side, from any thread.

  /// Queues a request. Errors: the inbox is closed, the id is taken by a live request, the waiting queue is full.
  [[nodiscard]] Status submit(EngineRequest request, std::shared_ptr<TokenStream> stream);
  /// Ignored when no live request has this id.
  void abort(const std::string& id, FinishReason reason);
  void abort_all();
  /// Hands any other command over; an error when the engine takes none any more. It is carried out while requests are
  /// refused too.
  [[nodiscard]] Status post(EngineCommand command);
  /// Why no request is taken any more, or nullopt.
  [[nodiscard]] std::optional<Error> closed() const;
  /// Refuses further requests with `error`; the first error stays.
  void close(Error error);
  /// Waits until every request has ended and its last event is pushed, or `deadline` has passed. True when it came to
  /// that.
  bool wait_idle(std::optional<std::chrono::steady_clock::time_point> deadline);
  void stop();
  [[nodiscard]] EngineStats stats() const;

  // The engine's side, from its thread only.

  struct Commands {
    std::vector<EngineCommand> commands;  ///< in the order in which they were given
    bool stop = false;
  };
  /// How the engine may rest until the next command.
  struct Rest {
    bool sleep = false;                                          ///< it has nothing to compute
    bool idle = false;                                           ///< no request is left either
    std::optional<std::chrono::steady_clock::time_point> until;  ///< when it has something to do anyhow
  };
  /// All commands so far.
  [[nodiscard]] Commands take(const Rest& rest);
  /// Tells callers the state after a round; `ended` are the ids of requests that are live no longer.
  void publish(const EngineStats& stats, const std::vector<std::string>& ended);

 private:
  const int max_queue_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable idle_changed_;
  std::vector<EngineCommand> commands_;
  std::unordered_map<std::string, std::uint64_t> live_;  ///< id → key
  std::uint64_t last_key_ = 0;
  int submitted_ = 0;  ///< requests in commands_: they wait too
  int waiting_ = 0;    ///< requests waiting in the scheduler, or on their way from commands_ to it
  bool idle_ = false;  ///< the engine sleeps and has nothing to do
  bool stop_ = false;
  std::optional<Error> closed_;
  EngineStats stats_;
};

}  // namespace krait
