#include <cstdio>
#include <memory>
#include <numeric>
#include <vector>

#include "bench/gpu_bars/bars.h"
#include "bench/gpu_bars/seconds_of.h"
#include "kernels/cuda/make_cuda_platform.h"
#include "kernels/operations.h"

namespace krait::bench {
namespace {

constexpr int kBatch = 256;
constexpr int kHeads = 64;
constexpr int kHeadDim = 64;
constexpr int kStateSize = 128;
constexpr double kLeastShare = 0.85;

Tensor zeros(Platform& platform, std::int64_t rows, std::int64_t columns) {
  const std::vector<float> values(static_cast<std::size_t>(rows * columns));
  return {platform.upload(values.data(), values.size() * sizeof(float)), DType::kFloat32, {rows, columns}};
}

}  // namespace

BarResult state_update_batch_256() {
  const auto platform = make_cuda_platform(0);
  const double bandwidth = device_bandwidth();
  constexpr std::int64_t kWidth = std::int64_t{kHeads} * kHeadDim;
  const Tensor x = zeros(*platform, kBatch, kWidth);
  const Tensor y = zeros(*platform, kBatch, kWidth);
  const Tensor dt = zeros(*platform, kBatch, kHeads);
  const Tensor bc = zeros(*platform, kBatch, 2 * kStateSize);
  const Tensor a = zeros(*platform, 1, kHeads);
  const Tensor states = zeros(*platform, kBatch + 1, kWidth * kStateSize);
  std::vector<std::int32_t> slots(kBatch);
  std::iota(slots.begin(), slots.end(), 1);
  SelectiveStateUpdateArgs args;
  args.x = x.view();
  args.dt = dt.view();
  args.b = bc.view().slice_columns(0, kStateSize);
  args.c = bc.view().slice_columns(kStateSize, kStateSize);
  args.a = a.view().as<const float>();
  args.heads = kHeads;
  args.head_dim = kHeadDim;
  args.state_size = kStateSize;
  args.state_read = slots;
  args.state_write = slots;
  args.state.recurrent = states.view().as<std::byte>();
  args.state.slot_stride = static_cast<std::size_t>(kWidth) * kStateSize * sizeof(float);
  args.y = y.view();
  const auto queue = platform->create_queue();
  const double seconds = seconds_of([&] { queue->ops().selective_state_update(args); }, [&] { queue->wait(); });
  const double bytes = 2.0 * kBatch * static_cast<double>(args.state.slot_stride);
  std::fprintf(stderr, "state update: %.1f us, %.0f GB/s; a copy: %.0f GB/s\n", seconds * 1e6, bytes / seconds * 1e-9,
               bandwidth * 1e-9);
  return at_least(bytes / seconds / bandwidth, kLeastShare);
}

}  // namespace krait::bench
