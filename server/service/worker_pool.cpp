#include "server/service/worker_pool.h"

#include <utility>

namespace krait::server {

void JobQueue::post(std::function<void()> job) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  jobs_.push_back(std::move(job));
  ready_.notify_one();
}

void JobQueue::run() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

void JobQueue::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  ready_.notify_all();
}

WorkerPool::WorkerPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { queue_->run(); });
}

WorkerPool::~WorkerPool() {
  queue_->stop();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace krait::server
