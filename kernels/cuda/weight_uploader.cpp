#include "kernels/cuda/weight_uploader.h"

#include <algorithm>
#include <cstring>

#include "kernels/cuda/linear/convert.h"

namespace krait::cuda {
namespace {

/// Bytes of a piece: copied in a fraction of a millisecond, and enough for all cores to fill.
constexpr std::size_t kPieceBytes = std::size_t{16} << 20;

std::int64_t rows_of_piece(std::int64_t rows, std::size_t row_bytes) {
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(kPieceBytes / std::max<std::size_t>(row_bytes, 1)), 1,
                                  rows);
}

}  // namespace

WeightUploader::~WeightUploader() {
  for (const Piece& piece : pieces_) {
    if (piece.stream != nullptr) device_.destroy_stream(piece.stream);
  }
}

WeightUploader::Piece& WeightUploader::next_piece(std::size_t bytes) {
  Piece& piece = pieces_[turn_];
  turn_ = (turn_ + 1) % pieces_.size();
  if (piece.stream == nullptr) piece.stream = device_.create_stream();
  device_.wait(piece.stream);
  if (piece.pinned.bytes < bytes) {
    piece.pinned = {};
    piece.pinned = device_.allocate_pinned(bytes);
  }
  return piece;
}

void WeightUploader::fill(const Piece& piece, std::int64_t begin, std::int64_t count, std::size_t row_bytes,
                          const WriteRows& write) {
  auto* to = static_cast<std::byte*>(piece.pinned.data.get());
  pool_.parallel_for(count, [&](std::int64_t first, std::int64_t end, int) {
    write(begin + first, begin + end, to + static_cast<std::size_t>(first) * row_bytes);
  });
}

void WeightUploader::upload(void* to, std::int64_t rows, std::size_t row_bytes, const WriteRows& write) {
  const std::int64_t step = rows_of_piece(rows, row_bytes);
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t count = std::min(step, rows - begin);
    const std::size_t bytes = static_cast<std::size_t>(count) * row_bytes;
    Piece& piece = next_piece(bytes);
    fill(piece, begin, count, row_bytes, write);
    device_.copy_to_device(static_cast<std::byte*>(to) + static_cast<std::size_t>(begin) * row_bytes,
                           piece.pinned.data.get(), bytes, piece.stream);
  }
}

void WeightUploader::upload(void* to, DType dtype, std::int64_t rows, std::int64_t columns, DType from,
                            const WriteRows& write) {
  const std::size_t from_bytes = static_cast<std::size_t>(columns) * dtype_size(from);
  const std::size_t to_bytes = static_cast<std::size_t>(columns) * dtype_size(dtype);
  if (dtype == from) return upload(to, rows, to_bytes, write);
  const std::int64_t step = rows_of_piece(rows, from_bytes);
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t count = std::min(step, rows - begin);
    const std::size_t bytes = static_cast<std::size_t>(count) * from_bytes;
    Piece& piece = next_piece(bytes);
    if (piece.raw.bytes < bytes) {
      piece.raw = {};
      piece.raw = device_.allocate(bytes);
    }
    fill(piece, begin, count, from_bytes, write);
    device_.copy_to_device(piece.raw.data.get(), piece.pinned.data.get(), bytes, piece.stream);
    convert({.from = piece.raw.data.get(),
             .from_dtype = from,
             .to = static_cast<std::byte*>(to) + static_cast<std::size_t>(begin) * to_bytes,
             .to_dtype = dtype,
             .count = count * columns},
            piece.stream);
  }
}

Buffer WeightUploader::copy(const void* from, std::size_t bytes) {
  Buffer buffer = device_.allocate(bytes);
  const auto* data = static_cast<const std::byte*>(from);
  upload(buffer.data.get(), static_cast<std::int64_t>(bytes), 1,
         [data](std::int64_t begin, std::int64_t end, std::byte* to) {
           std::memcpy(to, data + begin, static_cast<std::size_t>(end - begin));
         });
  finish();
  return buffer;
}

void WeightUploader::finish() {
  for (const Piece& piece : pieces_) {
    if (piece.stream != nullptr) device_.wait(piece.stream);
  }
}

}  // namespace krait::cuda
