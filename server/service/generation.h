#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/service/generation_event.h"

namespace krait::server {

/// The events of one request on their way from the workers to one reader. Unbounded by design: max_tokens bounds it,
/// and a reader that stops reading is cut off by its front end.
class EventQueue {
 public:
  void push(GenerationEvent event);
  std::optional<GenerationEvent> try_pop();
  GenerationEvent pop();
  void set_listener(std::function<void()> listener);

 private:
  bool empty();

  std::mutex mutex_;  ///< guards the events
  std::condition_variable ready_;
  std::deque<GenerationEvent> events_;
  bool closed_ = false;  ///< the last event was pushed: later ones are dropped
  std::mutex
      listener_mutex_;  ///< held while the listener runs, so that a replaced one is never running; taken without mutex_
  std::function<void()> listener_;
};

/// A reader's hold on one request. Letting go of it aborts the request, wherever it is: waiting, being encoded, or
/// running.
class Generation {
 public:
  Generation(std::string id, std::string model, std::shared_ptr<EventQueue> events, std::function<void()> cancel);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  [[nodiscard]] const std::string& id() const { return id_; }
  /// The served model's name; what the request asked for when there is none such.
  [[nodiscard]] const std::string& model() const { return model_; }

  std::optional<GenerationEvent> try_pop() { return events_->try_pop(); }
  /// Waits for the next event. Never returns after the last event has been taken: do not call it then.
  GenerationEvent pop() { return events_->pop(); }
  /// Called on a worker's thread after every event, and at once when events wait; may take events, must not block and
  /// must not let go of this Generation. Replaces the last one; after a call with an empty function the old one is not
  /// running and never will.
  void set_listener(std::function<void()> listener) { events_->set_listener(std::move(listener)); }
  /// Aborts; events that are under way may still arrive. Harmless after the end.
  void cancel();

 private:
  std::string id_;
  std::string model_;
  std::shared_ptr<EventQueue> events_;
  std::function<void()> cancel_;
};

}  // namespace krait::server
