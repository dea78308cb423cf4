#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/make_cuda_platform.h"
#include "kernels/operations.h"

// FlashInfer's kernels against ours on a real device: the same arguments, two libraries. A build without FlashInfer
// tries nothing.

namespace krait {
namespace {

/// The platform, a queue, and what moves numbers.
struct Bench {
  std::unique_ptr<Platform> platform = make_cuda_platform(0);
  std::unique_ptr<Queue> queue = platform->create_queue();
  std::vector<Buffer> kept;
  std::mt19937 random{7};

  std::vector<float> numbers(std::int64_t count, float low, float high) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = std::uniform_real_distribution<float>(low, high)(random);
    return values;
  }
  void* up(const void* data, std::size_t bytes) {
    kept.push_back(platform->upload(data, bytes));
    return kept.back().data.get();
  }
  TensorView matrix(std::int64_t rows, std::int64_t columns, float low = -1.0F, float high = 1.0F) {
    const std::vector<float> values = numbers(rows * columns, low, high);
    return {up(values.data(), values.size() * sizeof(float)), DType::kFloat32, Shape{rows, columns}};
  }
  std::vector<float> down(const TensorView& view) {
    std::vector<float> values(static_cast<std::size_t>(view.shape.elements()));
    queue->download(values.data(), view);
    return values;
  }
};

std::uint16_t bits_of(float value, DType dtype) {
  return dtype == DType::kFloat16 ? float_to_float16(value) : float_to_bfloat16(value);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    largest = difference <= largest ? largest : difference;  // a NaN is the largest
  }
  return largest;
}

bool is_missing(const Status& status) {
  if (status.ok()) return false;
  WARN("not tried: " + status.error().message);
  return true;
}

/// A prompt, a continued one, nothing, and decodes; pages in an order of their own.
struct MixedBatch {
  static constexpr int kBlock = 16;
  std::vector<std::int32_t> query_start_loc{0, 300, 340, 340, 341, 342};
  std::vector<std::int32_t> seq_lens{300, 1000, 0, 17, 4096};
  int max_blocks = 4096 / kBlock;
  std::vector<std::int32_t> block_table;
  int pages = 1;

  MixedBatch() {
    for (std::size_t r = 0; r < seq_lens.size(); ++r) {
      for (int b = 0; b < max_blocks; ++b) block_table.push_back(b * kBlock < seq_lens[r] ? pages++ : 0);
    }
    // Pages of one request do not lie in order.
    for (std::int32_t& page : block_table) page = page == 0 ? 0 : pages - page;
  }
};

}  // namespace

TEST_CASE("gpu: FlashInfer's attention is ours") {
  Bench bench;
  const MixedBatch batch;
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    for (const int dim : {64, 128, 256}) {
      const AttentionForm form{.heads = 12, .kv_heads = 4, .head_dim = dim, .cache_dtype = dtype};
      if (is_missing(bench.platform->supports_attention(KernelLibrary::kFlashInfer, form))) return;
      const std::size_t part =
          static_cast<std::size_t>(form.kv_heads) * MixedBatch::kBlock * static_cast<std::size_t>(dim);
      std::vector<std::uint16_t> cache;
      for (const float value : bench.numbers(static_cast<std::int64_t>(2 * part) * batch.pages, -1.0F, 1.0F)) {
        cache.push_back(bits_of(value, dtype));
      }
      PagedAttentionArgs args;
      const std::int64_t tokens = batch.query_start_loc.back();
      args.q = bench.matrix(tokens, std::int64_t{form.heads} * dim);
      args.cache = {.base = static_cast<std::byte*>(bench.up(cache.data(), cache.size() * 2)),
                    .page_stride = 4 * part,
                    .value_offset = 2 * part,
                    .block_size = MixedBatch::kBlock,
                    .kv_heads = form.kv_heads,
                    .head_dim = dim,
                    .dtype = dtype};
      args.query_start_loc = batch.query_start_loc;
      args.seq_lens = batch.seq_lens;
      args.block_table = batch.block_table;
      args.max_blocks = batch.max_blocks;
      args.scale = 1.0F / std::sqrt(static_cast<float>(dim));
      for (const int window : {0, 100}) {
        CAPTURE(dtype_name(dtype), dim, window);
        args.sliding_window = window;
        std::vector<std::vector<float>> results;
        for (const KernelLibrary library : {KernelLibrary::kNative, KernelLibrary::kFlashInfer}) {
          args.out = bench.matrix(tokens, std::int64_t{form.heads} * dim);
          args.library = library;
          bench.queue->ops().paged_attention(args);
          results.push_back(bench.down(args.out));
        }
        // Both round weights and q to 16 bits, FlashInfer its results too.
        CHECK(largest_difference(results[0], results[1]) < (dtype == DType::kFloat16 ? 2e-3 : 1.6e-2));
      }
    }
  }
}

TEST_CASE("gpu: FlashInfer's state update is ours") {
  Bench bench;
  constexpr int kGroups = 2;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    for (const auto& [heads, dim, size, rows] : {std::array{4, 64, 128, 3}, std::array{32, 64, 128, 40},
                                                 std::array{32, 128, 64, 40}, std::array{16, 64, 256, 40}}) {
      CAPTURE(dtype_name(dtype), heads, dim, size, rows);
      const StateUpdateForm form{.head_dim = dim, .state_size = size, .state_dtype = dtype};
      if (is_missing(bench.platform->supports_state_update(KernelLibrary::kFlashInfer, form))) return;
      const std::int64_t elements = std::int64_t{heads} * dim * size;
      const std::int64_t slots = 2 * rows + 1;
      const std::size_t slot_bytes = static_cast<std::size_t>(elements) * dtype_size(dtype);
      const std::vector<float> states = bench.numbers(elements * slots, -1.0F, 1.0F);
      std::vector<std::uint16_t> narrow;
      for (const float value : states) narrow.push_back(bits_of(value, dtype));
      const void* from = dtype == DType::kFloat32 ? static_cast<const void*>(states.data()) : narrow.data();
      // The last row is padding.
      std::vector<std::int32_t> read(static_cast<std::size_t>(rows));
      std::iota(read.begin(), read.end(), 1);
      std::vector<std::int32_t> write(read);
      for (std::int32_t& slot : write) slot += rows;
      read.back() = write.back() = 0;
      SelectiveStateUpdateArgs args;
      args.x = bench.matrix(rows, std::int64_t{heads} * dim);
      args.dt = bench.matrix(rows, heads);
      args.b = bench.matrix(rows, std::int64_t{kGroups} * size);
      args.c = bench.matrix(rows, std::int64_t{kGroups} * size);
      args.a = bench.matrix(1, heads, -2.0F, -0.1F).as<const float>();
      args.d = bench.matrix(1, heads).as<const float>();
      args.dt_bias = bench.matrix(1, heads).as<const float>();
      args.heads = heads;
      args.head_dim = dim;
      args.groups = kGroups;
      args.state_size = size;
      args.state_read = read;
      args.state_write = write;
      args.state.slot_stride = slot_bytes;
      args.state.recurrent_dtype = dtype;
      std::vector<std::vector<float>> results;
      std::vector<std::vector<float>> written;
      for (const KernelLibrary library : {KernelLibrary::kNative, KernelLibrary::kFlashInfer}) {
        args.state.recurrent = static_cast<std::byte*>(bench.up(from, slot_bytes * static_cast<std::size_t>(slots)));
        args.y = bench.matrix(rows, std::int64_t{heads} * dim);
        args.library = library;
        bench.queue->ops().selective_state_update(args);
        results.push_back(bench.down(args.y.slice_rows(0, rows - 1)));
        // The bytes, as float32 where they are; 16-bit states are compared by what y becomes of them in the next token.
        args.state_read = args.state_write;
        bench.queue->ops().selective_state_update(args);
        written.push_back(bench.down(args.y.slice_rows(0, rows - 1)));
        args.state_read = read;
      }
      CHECK(largest_difference(results[0], results[1]) < 2e-3);
      CHECK(largest_difference(written[0], written[1]) < (dtype == DType::kFloat32 ? 2e-3 : 0.25));
    }
  }
}

}  // namespace krait
