#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

namespace krait {

/// A thread with a stack of a stated size, for code that recurses as deep as its input says. Only what is touched of it
/// becomes memory.
class DeepStackThread {
 public:
  /// Throws std::system_error when the system gives no thread or no address space.
  DeepStackThread(std::size_t stack_bytes, std::function<void()> body);
  /// Joins.
  ~DeepStackThread();
  DeepStackThread(const DeepStackThread&) = delete;
  DeepStackThread& operator=(const DeepStackThread&) = delete;

 private:
  std::function<void()> body_;
  pthread_t thread_{};
};

}  // namespace krait
