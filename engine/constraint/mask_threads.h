#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <vector>

#include "engine/constraint/deep_stack_thread.h"

namespace krait {

/// A few threads that compute masks while the model runs. They start with the first job, and run where the thread that
/// made this object might: the one that posts may be bound to a CPU.
class MaskThreads {
 public:
  explicit MaskThreads(int threads);
  /// Runs what is queued, then joins.
  ~MaskThreads();
  MaskThreads(const MaskThreads&) = delete;
  MaskThreads& operator=(const MaskThreads&) = delete;

  /// Jobs must not throw. Runs the job itself where the system gives no thread.
  void post(std::function<void()> job);

 private:
  void run();

  const int most_;
  const std::vector<int> cpus_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  std::list<DeepStackThread> threads_;
};

}  // namespace krait
