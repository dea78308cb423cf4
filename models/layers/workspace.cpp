#include "models/layers/workspace.h"

#include <algorithm>

namespace krait {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMinimumBlock = std::size_t{1} << 20;

}  // namespace

TensorView Workspace::matrix(std::int64_t rows, std::int64_t columns) {
  const std::size_t wanted =
      (static_cast<std::size_t>(rows * columns) * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  while (block_ < blocks_.size() && used_ + wanted > blocks_[block_].bytes) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const std::size_t last = blocks_.empty() ? 0 : blocks_.back().bytes;
    blocks_.push_back(platform_.allocate(std::max({wanted, kMinimumBlock, 2 * last})));
    used_ = 0;
  }
  auto* data = static_cast<std::byte*>(blocks_[block_].data.get()) + used_;
  used_ += wanted;
  return {data, DType::kFloat32, Shape{rows, columns}};
}

}  // namespace krait
