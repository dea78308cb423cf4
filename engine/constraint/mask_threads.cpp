#include "engine/constraint/mask_threads.h"

#include <system_error>
#include <utility>

#include "kernels/thread_scheduling.h"

namespace krait {
namespace {

constexpr std::size_t kStackBytes = std::size_t{64} << 20;

}  // namespace

MaskThreads::MaskThreads(int threads) : most_(threads), cpus_(thread_cpus()) {}

MaskThreads::~MaskThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  ready_.notify_all();
  threads_.clear();  // joins
}

void MaskThreads::post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (threads_.size() < static_cast<std::size_t>(most_)) {
      try {
        threads_.emplace_back(kStackBytes, [this] { run(); });
      } catch (const std::system_error&) {
        // Those that run already are enough; without any the job is run below.
      }
    }
    if (!threads_.empty()) {
      jobs_.push_back(std::move(job));
      ready_.notify_one();
      return;
    }
  }
  job();
}

void MaskThreads::run() {
  set_thread_cpus(cpus_);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace krait
