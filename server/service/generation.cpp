#include "server/service/generation.h"

#include <utility>

namespace krait::server {

void EventQueue::push(GenerationEvent event) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = is_last(event);
    events_.push_back(std::move(event));
    ready_.notify_one();
  }
  std::lock_guard lock(listener_mutex_);
  if (listener_) listener_();
}

std::optional<GenerationEvent> EventQueue::try_pop() {
  std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  GenerationEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

GenerationEvent EventQueue::pop() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return !events_.empty(); });
  GenerationEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void EventQueue::set_listener(std::function<void()> listener) {
  std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
  if (listener_ && !empty()) listener_();
}

bool EventQueue::empty() {
  std::lock_guard lock(mutex_);
  return events_.empty();
}

Generation::Generation(std::string id, std::string model, std::shared_ptr<EventQueue> events,
                       std::function<void()> cancel)
    : id_(std::move(id)), model_(std::move(model)), events_(std::move(events)), cancel_(std::move(cancel)) {}

Generation::~Generation() {
  set_listener({});
  cancel();
}

void Generation::cancel() {
  if (cancel_) cancel_();
}

}  // namespace krait::server
