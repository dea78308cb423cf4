#include "engine/engine.h"

#include <algorithm>
#include <exception>
#include <future>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>

#include "engine/cache/cache_pools.h"
#include "engine/cache/context_transfer.h"
#include "engine/engine_inbox.h"
#include "engine/prefix_loading.h"
#include "engine/request/request_checks.h"
#include "engine/runner/step_plan.h"
#include "engine/scheduler/scheduler.h"

namespace krait {

namespace {

/// A runner that throws this many steps in a row is broken for good: the engine stops taking requests.
constexpr int kFatalFailures = 3;

Error unavailable(std::string message) {
  return {.code = ErrorCode::kUnavailable, .message = std::move(message), .field = {}};
}

SchedulerConfig scheduler_config(const EngineConfig& config) {
  return {.max_num_seqs = config.max_num_seqs,
          .max_num_batched_tokens = config.max_num_batched_tokens,
          .prefill_tile = config.prefill_tile,
          .row_tile = config.row_tile,
          .target_itl_seconds = config.target_itl_ms / 1000,
          .share_prefixes = config.share_prefixes,
          .swap_bytes = config.swap_bytes,
          .snapshots = config.snapshots};
}

/// The engine's thread owns the scheduler, the runner and the streams' ends; callers reach it through the inbox only.
class ThreadedEngine final : public Engine {
 public:
  ThreadedEngine(EngineConfig config, std::shared_ptr<CachePools> pools, std::unique_ptr<StepRunner> runner,
                 std::unique_ptr<DiskTier> disk)
      : config_(config),
        pools_(std::move(pools)),
        runner_(std::move(runner)),
        scheduler_(scheduler_config(config), *pools_),
        inbox_(config.max_queue) {
    if (disk != nullptr) {
      loading_.emplace(*pools_, std::move(disk), [this](std::vector<ContextImage> images) {
        // Refused when the engine ends, and then nobody wants them.
        static_cast<void>(inbox_.post(PrefixArrival{.images = std::move(images)}));
      });
    }
    inbox_.publish(scheduler_.stats(), {});
    thread_ = std::thread([this] { run(); });
  }

  ~ThreadedEngine() override {
    inbox_.close(unavailable("the engine has ended"));
    inbox_.stop();
    thread_.join();
  }

  ThreadedEngine(const ThreadedEngine&) = delete;
  ThreadedEngine& operator=(const ThreadedEngine&) = delete;

  Result<std::shared_ptr<TokenStream>> submit(EngineRequest request) override {
    if (auto closed = inbox_.closed()) return *std::move(closed);
    if (Status status = check_request(request, config_, *pools_); !status.ok()) return std::move(status).error();
    auto stream = std::make_shared<TokenStream>();
    if (Status status = inbox_.submit(std::move(request), stream); !status.ok()) return std::move(status).error();
    return stream;
  }

  void abort(const std::string& request_id, FinishReason reason) override { inbox_.abort(request_id, reason); }

  void drain(std::chrono::milliseconds deadline) override {
    inbox_.close(unavailable("the server is shutting down and takes no more requests"));
    if (inbox_.wait_idle(std::chrono::steady_clock::now() + deadline)) return;
    inbox_.abort_all();
    inbox_.wait_idle(std::nullopt);
  }

  Result<ContextImage> export_context(const std::string& salt, std::vector<std::int32_t> tokens) override {
    ContextExport command{.salt = salt, .tokens = std::move(tokens), .done = {}};
    auto done = command.done.get_future();
    if (Status status = inbox_.post(std::move(command)); !status.ok()) return std::move(status).error();
    return done.get();
  }

  Status import_context(ContextImage image) override {
    ContextImport command{.image = std::move(image), .done = {}};
    auto done = command.done.get_future();
    if (Status status = inbox_.post(std::move(command)); !status.ok()) return status;
    return done.get();
  }

  [[nodiscard]] ContextIdentity context_identity() const override {
    return {.model = config_.model_hash, .formats = config_.cache_formats_hash, .layout = pools_->layout()};
  }

  [[nodiscard]] bool ready() const override { return !inbox_.closed().has_value(); }
  [[nodiscard]] EngineStats stats() const override {
    EngineStats stats = inbox_.stats();
    if (loading_) loading_->add_stats(stats);
    return stats;
  }
  [[nodiscard]] const EngineConfig& config() const override { return config_; }

 private:
  struct Reader {
    std::string id;
    std::shared_ptr<TokenStream> stream;
  };

  // From here on, the engine's thread only.

  void run() {
    const auto placement = runner_->place_calling_thread();
    while (true) {
      if (scheduler_.idle()) pools_->set_computing(false);
      EngineInbox::Commands taken = inbox_.take(rest());
      if (std::ranges::any_of(taken.commands, touches_pools)) finish_step();
      for (EngineCommand& command : taken.commands) {
        std::visit([this](auto& c) { execute(c); }, command);
      }
      if (taken.stop) break;
      if (loading_) schedule(loading_->remove_expired(std::chrono::steady_clock::now()));
      if (dead_) end_all(inbox_.closed());
      step();
      deliver();
    }
    finish_step();
    end_all(std::nullopt);
    deliver();
  }

  /// Whether the command reads or writes what a step in flight may be writing or reading.
  static bool touches_pools(const EngineCommand& command) {
    return !std::holds_alternative<Submission>(command) && !std::holds_alternative<Cancellation>(command);
  }

  [[nodiscard]] EngineInbox::Rest rest() const {
    EngineInbox::Rest rest{.sleep = scheduler_.idle(), .idle = scheduler_.idle(), .until = std::nullopt};
    if (!loading_ || loading_->size() == 0) return rest;
    rest.idle = false;
    rest.until = loading_->next_deadline();
    return rest;
  }

  void execute(Submission& submission) {
    readers_[submission.key] = {.id = submission.request.id, .stream = std::move(submission.stream)};
    if (!dead_ && loading_ && loading_->keep(submission)) return;
    schedule(submission);
  }
  void execute(Cancellation& cancellation) {
    if (loading_) {
      if (auto submission = loading_->remove(cancellation.key)) schedule(*submission);
    }
    scheduler_.abort(cancellation.key, cancellation.reason);
  }
  void execute(CancelEverything& /*everything*/) { end_all(std::nullopt); }
  void execute(PrefixArrival& arrival) { schedule(loading_->take_in(arrival.images)); }
  void execute(ContextExport& command) {
    answer(command.done, [&] { return krait::export_context(*pools_, command.salt, command.tokens); });
  }
  void execute(ContextImport& command) {
    answer(command.done, [&] { return krait::import_context(*pools_, command.image); });
  }

  /// Whoever asked waits for the answer: there is one in any case.
  template <typename Outcome, typename Work>
  void answer(std::promise<Outcome>& done, const Work& work) {
    if (dead_) return done.set_value(*inbox_.closed());
    try {
      done.set_value(work());
    } catch (const std::bad_alloc&) {
      done.set_value(Error{.code = ErrorCode::kResourceExhausted, .message = "no memory for a context", .field = {}});
    }
  }

  void schedule(Submission& submission) {
    scheduler_.add(submission.key, std::move(submission.request), submission.arrival);
  }
  void schedule(std::vector<Submission> submissions) {
    for (Submission& submission : submissions) schedule(submission);
  }

  /// Ends those that wait for the disk too.
  void end_all(const std::optional<Error>& error) {
    if (loading_) schedule(loading_->remove_all());
    scheduler_.end_all(error);
  }

  /// Brings the step in flight, or a new one, to its end. Where the runner can, the next one is in flight then.
  void step() {
    if (!in_flight_) {
      StepPlan plan = scheduler_.schedule(std::chrono::steady_clock::now());
      if (plan.requests.empty()) return;
      pools_->set_computing(true);
      // Before a step that may take long: callers see who runs, and requests that ended in planning are told.
      deliver();
      guarded([&] { in_flight_ = runner_->submit(std::move(plan)); });
    }
    guarded([&] {
      std::optional<StepHandle> ahead;
      if (in_flight_ && runner_->runs_ahead()) ahead = submit_ahead();
      complete(ahead);
    });
  }

  [[nodiscard]] std::optional<StepHandle> submit_ahead() {
    StepPlan plan = scheduler_.schedule_ahead(std::chrono::steady_clock::now());
    if (plan.requests.empty()) return std::nullopt;
    return runner_->submit(std::move(plan));
  }

  /// Waits for the step in flight; `next` is in flight then.
  void complete(std::optional<StepHandle> next) {
    if (!in_flight_) return;
    const StepHandle handle = *std::exchange(in_flight_, next);
    StepResult result = runner_->wait(handle);
    failures_ = 0;
    scheduler_.update(std::move(result), std::chrono::steady_clock::now());
  }

  /// Until no step is in flight.
  void finish_step() {
    guarded([&] { complete(std::nullopt); });
  }

  /// Does a part of a step; what is in flight is lost when it throws.
  template <typename Work>
  void guarded(const Work& work) {
    try {
      work();
    } catch (const std::exception& fault) {
      lose_step(fault.what());
    } catch (...) {
      lose_step("an exception of unknown type");
    }
  }

  void lose_step(const std::string& what) {
    in_flight_.reset();
    runner_->abandon();
    scheduler_.fail_step(
        {.code = ErrorCode::kInternal, .message = "the step that held the request failed: " + what, .field = {}});
    if (++failures_ < kFatalFailures) return;
    dead_ = true;
    inbox_.close(unavailable("the engine has stopped: " + std::to_string(failures_) +
                             " steps in a row failed, the last with: " + what));
    end_all(inbox_.closed());
  }

  [[nodiscard]] EngineStats current_stats() const {
    EngineStats stats = scheduler_.stats();
    if (!loading_) return stats;
    stats.requests_waiting += loading_->size();
    stats.disk_hit_tokens = loading_->hit_tokens();
    return stats;
  }

  /// Pushes what has happened to the streams. Statistics go first: who reads a last event finds its request counted.
  void deliver() {
    std::vector<RequestEvent> events = scheduler_.take_events();
    std::vector<std::string> ended;
    for (const RequestEvent& event : events) {
      if (event.event.finish) ended.push_back(readers_.at(event.key).id);
    }
    inbox_.publish(current_stats(), ended);
    for (RequestEvent& event : events) {
      const bool last = event.event.finish.has_value();
      readers_.at(event.key).stream->push(std::move(event.event));
      if (last) readers_.erase(event.key);
    }
  }

  const EngineConfig config_;
  std::shared_ptr<CachePools> pools_;
  std::unique_ptr<StepRunner> runner_;
  Scheduler scheduler_;
  std::unordered_map<std::uint64_t, Reader> readers_;
  std::optional<StepHandle> in_flight_;
  int failures_ = 0;  ///< steps lost in a row
  bool dead_ = false;
  EngineInbox inbox_;
  std::optional<PrefixLoading> loading_;  ///< with a disk tier; its thread posts to the inbox
  std::thread thread_;
};

void require_positive(int value, const std::string& flag) {
  if (value >= 1) return;
  throw StartupError({.code = ErrorCode::kInvalidArgument,
                      .message = flag + " is " + std::to_string(value) + "; it must be at least 1",
                      .field = flag});
}

}  // namespace

std::unique_ptr<Engine> make_engine(EngineConfig config, std::shared_ptr<CachePools> pools,
                                    std::unique_ptr<StepRunner> runner) {
  return make_engine(config, std::move(pools), std::move(runner), nullptr);
}

std::unique_ptr<Engine> make_engine(EngineConfig config, std::shared_ptr<CachePools> pools,
                                    std::unique_ptr<StepRunner> runner, std::unique_ptr<DiskTier> disk) {
  require_positive(config.max_num_seqs, "--max-num-seqs");
  require_positive(config.max_num_batched_tokens, "--max-num-batched-tokens");
  require_positive(config.max_model_len, "--max-model-len");
  return std::make_unique<ThreadedEngine>(config, std::move(pools), std::move(runner), std::move(disk));
}

}  // namespace krait
