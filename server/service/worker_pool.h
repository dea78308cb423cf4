#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace krait::server {

/// A few threads that render templates, encode prompts and detokenise answers: work that is too long for the engine's
/// thread and for the network's. Jobs must not block. They run in any order; who needs an order makes its own (see
/// `Choice`).
class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  /// Runs what is queued, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void post(std::function<void()> job);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace krait::server
