#pragma once

#include <cstddef>
#include <cstdint>

namespace krait {
class ThreadPool;
}

namespace krait::bench {

/// Memory that no cache holds, in huge pages where the system gives them; each part first touched by the thread of
/// `first_touch` that reads it.
class ReadBuffer {
 public:
  explicit ReadBuffer(ThreadPool& first_touch);
  ~ReadBuffer();
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;

  /// GB/s of all threads together: the best run of the best pattern (each thread one stream, four streams side by
  /// side, with and without a prefetch ahead).
  [[nodiscard]] double best_rate(ThreadPool& pool) const;

 private:
  std::uint64_t* words_ = nullptr;
};

}  // namespace krait::bench
