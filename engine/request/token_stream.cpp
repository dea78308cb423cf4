#include "engine/request/token_stream.h"

#include <utility>

namespace krait {

void TokenStream::push(TokenEvent event) {
  std::function<void()> listener;
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    listener = listener_;
  }
  ready_.notify_one();
  if (listener) listener();
}

std::optional<TokenEvent> TokenStream::try_pop() {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  TokenEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

TokenEvent TokenStream::pop() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return !events_.empty(); });
  TokenEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void TokenStream::set_listener(std::function<void()> listener) {
  std::function<void()> call_now;
  {
    const std::lock_guard lock(mutex_);
    if (!events_.empty()) call_now = listener;
    listener_ = std::move(listener);
  }
  if (call_now) call_now();
}

}  // namespace krait
