#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace krait::server {

/// Jobs on their way to the workers. May outlive them: who posts from the engine's thread cannot know that the service
/// has ended.
class JobQueue {
 public:
  /// After `stop` the job is dropped.
  void post(std::function<void()> job);
  /// A worker's loop: runs jobs until `stop` has been called and the queue is empty.
  void run();
  void stop();

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  bool stopped_ = false;
};

/// A few threads that render templates, encode prompts and detokenise answers: work that is too long for the engine's
/// thread and for the network's. Jobs must not block. They run in any order; who needs an order makes its own (see
/// `RequestRun`).
class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  /// Runs what is queued, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  [[nodiscard]] const std::shared_ptr<JobQueue>& queue() const { return queue_; }

 private:
  std::shared_ptr<JobQueue> queue_ = std::make_shared<JobQueue>();
  std::vector<std::thread> threads_;
};

}  // namespace krait::server
