#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/cuda/device.h"
#include "kernels/dtype.h"
#include "kernels/thread_pool.h"

namespace krait::cuda {

/// Brings rows of weights onto the device: all cores write pinned memory (which reads the checkpoint's mapping), while
/// the piece before is copied and converted on the device. Two pieces take turns, each with a stream of its own.
class WeightUploader {
 public:
  explicit WeightUploader(Device& device) : device_(device) {}
  ~WeightUploader();
  WeightUploader(const WeightUploader&) = delete;
  WeightUploader& operator=(const WeightUploader&) = delete;

  [[nodiscard]] Device& device() { return device_; }
  [[nodiscard]] ThreadPool& pool() { return pool_; }

  /// Writes rows [begin, end) one after another. Several threads call it at once.
  using WriteRows = std::function<void(std::int64_t begin, std::int64_t end, std::byte* to)>;
  /// `to` on the device = `rows` rows of `row_bytes` each.
  void upload(void* to, std::int64_t rows, std::size_t row_bytes, const WriteRows& write);
  /// The same, rows of `columns` elements of `from` that become elements of `dtype` (float32 or bfloat16) on the
  /// device.
  void upload(void* to, DType dtype, std::int64_t rows, std::int64_t columns, DType from, const WriteRows& write);
  /// Device memory with a copy of the host's, which is there when the call returns.
  Buffer copy(const void* from, std::size_t bytes);
  /// Until all of it is there.
  void finish();

 private:
  struct Piece {
    Stream stream = nullptr;
    Buffer pinned;
    Buffer raw;  ///< on the device, before it is converted
  };
  /// The piece whose turn it is, free and with room.
  Piece& next_piece(std::size_t bytes);
  /// Fills the piece with rows [begin, begin + count).
  void fill(const Piece& piece, std::int64_t begin, std::int64_t count, std::size_t row_bytes, const WriteRows& write);

  Device& device_;
  ThreadPool pool_;
  std::array<Piece, 2> pieces_{};
  std::size_t turn_ = 0;
};

}  // namespace krait::cuda
