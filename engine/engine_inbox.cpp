#include "engine/engine_inbox.h"

#include <utility>

namespace krait {

Status EngineInbox::submit(EngineRequest request, std::shared_ptr<TokenStream> stream) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return *closed_;
    if (submitted_ + waiting_ >= max_queue_) {
      return Error{
          .code = ErrorCode::kResourceExhausted,
          .message = "the waiting queue is full: it holds " + std::to_string(max_queue_) + " requests; try again later",
          .field = {}};
    }
    if (!live_.emplace(request.id, last_key_ + 1).second) {
      return Error{.code = ErrorCode::kInvalidArgument,
                   .message = "a request with the id '" + request.id + "' is live; ids must be unique",
                   .field = "request_id"};
    }
    ++last_key_;
    ++submitted_;
    commands_.emplace_back(Submission{.key = last_key_,
                                      .request = std::move(request),
                                      .stream = std::move(stream),
                                      .arrival = std::chrono::steady_clock::now()});
  }
  work_.notify_one();
  return ok_status();
}

void EngineInbox::abort(const std::string& id, FinishReason reason) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(id);
    if (found == live_.end()) return;
    commands_.emplace_back(Cancellation{.key = found->second, .reason = reason});
  }
  work_.notify_one();
}

void EngineInbox::abort_all() {
  {
    const std::lock_guard lock(mutex_);
    commands_.emplace_back(CancelEverything{});
  }
  work_.notify_one();
}

Status EngineInbox::post(EngineCommand command) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return Error{.code = ErrorCode::kUnavailable, .message = "the engine has ended", .field = {}};
    commands_.push_back(std::move(command));
  }
  work_.notify_one();
  return ok_status();
}

std::optional<Error> EngineInbox::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void EngineInbox::close(Error error) {
  const std::lock_guard lock(mutex_);
  if (!closed_) closed_ = std::move(error);
}

bool EngineInbox::wait_idle(std::optional<std::chrono::steady_clock::time_point> deadline) {
  std::unique_lock lock(mutex_);
  const auto nothing_left = [this] { return idle_ && commands_.empty(); };
  if (deadline) return idle_changed_.wait_until(lock, *deadline, nothing_left);
  idle_changed_.wait(lock, nothing_left);
  return true;
}

void EngineInbox::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
}

EngineStats EngineInbox::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.requests_waiting = submitted_ + waiting_;
  return stats;
}

EngineInbox::Commands EngineInbox::take(const Rest& rest) {
  std::unique_lock lock(mutex_);
  if (rest.sleep) {
    idle_ = rest.idle;
    idle_changed_.notify_all();
    const auto has_work = [this] { return stop_ || !commands_.empty(); };
    if (rest.until) {
      work_.wait_until(lock, *rest.until, has_work);
    } else {
      work_.wait(lock, has_work);
    }
    idle_ = false;
  }
  waiting_ += std::exchange(submitted_, 0);
  return {.commands = std::exchange(commands_, {}), .stop = stop_};
}

void EngineInbox::publish(const EngineStats& stats, const std::vector<std::string>& ended) {
  const std::lock_guard lock(mutex_);
  stats_ = stats;
  waiting_ = stats.requests_waiting;
  for (const std::string& id : ended) live_.erase(id);
}

}  // namespace krait
