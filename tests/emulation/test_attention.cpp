#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/emulation/emulation_support.h"

namespace krait {
namespace {

using test::AttentionOptions;
using test::KvPages;
using test::KvSequence;
using test::KvShape;
using test::Matrix;

/// Query tokens of a sequence that has `tokens` in the cache.
struct Request {
  int tokens = 0;
  int queries = 0;
};

/// A batch of requests over one cache; pages of hidden tokens before a window are not in the block table.
struct Batch {
  KvShape shape{};
  int heads = 1;
  int block = 16;
  DType dtype = DType::kFloat32;
  std::vector<Request> requests{};
  AttentionOptions options{};
};

constexpr float kUntouched = 12345.0F;

/// Writes the keys and attends, on one platform's operations. Two rows more than queries: padding.
Matrix run(Operations& ops, const Batch& batch, std::uint32_t seed) {
  test::Random random(seed);
  int pages = 1, max_blocks = 1, rows = 0;
  for (const Request& request : batch.requests) {
    const int count = (request.tokens + batch.block - 1) / batch.block;
    pages += count;
    max_blocks = std::max(max_blocks, count);
    rows += request.queries;
  }
  KvPages cache(pages, batch.block, batch.shape, batch.dtype);
  // A page table entry that no key needs must not be read: these would lead out of the cache.
  constexpr std::int32_t kNoPage = 1 << 30;
  std::vector<std::int32_t> table(batch.requests.size() * static_cast<std::size_t>(max_blocks), kNoPage);
  std::vector<std::int32_t> starts{0}, lengths;
  int page = 1;
  for (std::size_t r = 0; r < batch.requests.size(); ++r) {
    const Request& request = batch.requests[r];
    const KvSequence sequence(random, cache, request.tokens, page);
    if (request.tokens > 0) sequence.write(ops, cache, 0, request.tokens);
    const int hidden =
        batch.options.window > 0 ? std::max(0, request.tokens - request.queries - batch.options.window + 1) : 0;
    for (std::size_t i = 0; i < sequence.pages.size(); ++i) {
      if (static_cast<int>(i + 1) * batch.block <= hidden) continue;
      table[r * static_cast<std::size_t>(max_blocks) + i] = sequence.pages[i];
    }
    page += static_cast<int>(sequence.pages.size());
    starts.push_back(starts.back() + request.queries);
    lengths.push_back(request.tokens);
  }
  const Matrix q = random.matrix(rows + 2, batch.heads * batch.shape.head_dim, 2.0F);
  Matrix out(rows + 2, batch.heads * cache.value_dim, kUntouched);
  PagedAttentionArgs args;
  args.q = q.view();
  args.out = out.view();
  args.cache = cache.view;
  args.query_start_loc = starts;
  args.seq_lens = lengths;
  args.block_table = table;
  args.max_blocks = max_blocks;
  args.scale = batch.options.scale;
  args.sliding_window = batch.options.window;
  args.logits_soft_cap = batch.options.soft_cap;
  if (!batch.options.sinks.empty()) {
    args.sinks = TensorView(const_cast<float*>(batch.options.sinks.data()), DType::kFloat32, Shape{batch.heads});
  }
  ops.paged_attention(args);
  return out;
}

/// The emulated GPU against the portable CPU kernels, in every order of threads.
void check(const Batch& batch, double tolerance, std::uint32_t seed = 1) {
  CAPTURE(batch.shape.kv_heads, batch.shape.head_dim, batch.shape.value_dim, batch.shape.value_is_key, batch.heads);
  CAPTURE(batch.block, dtype_name(batch.dtype), batch.options.window, batch.options.soft_cap, seed);
  static const test::Machine cpu("portable", 1);
  static const auto gpu = test::make_emulated_platform();
  static const auto queue = gpu->create_queue();
  const Matrix expected = run(cpu.ops(), batch, seed);
  const std::vector<double> exact(expected.data.begin(), expected.data.end());
  Matrix first;
  test::in_every_order([&] {
    const Matrix found = run(queue->ops(), batch, seed);
    queue->wait();
    CHECK(test::worst_error(found.data, exact) <= tolerance);
    if (first.rows == 0) first = found;
    CHECK(test::same_bits(found, first));
  });
}

constexpr double kFloat = 1e-5;     ///< float32 arithmetic
constexpr double kSplit = 5e-5;     ///< two 16-bit numbers for one
constexpr double kBFloat16 = 1e-2;  ///< q and weights in bfloat16
constexpr double kFloat16 = 2e-3;

/// For batches with prefill.
double tolerance_of(DType dtype) {
  if (dtype == DType::kFloat32) return kFloat;
  return dtype == DType::kFloat16 ? kFloat16 : kBFloat16;
}

}  // namespace

TEST_CASE("emulated: attention agrees with the CPU") { test::check_agreement("attention", 1e-2, 1); }

TEST_CASE("emulated: latent attention agrees with the CPU") { test::check_agreement("latent attention", 1e-5, 1); }

TEST_CASE("emulated: decode over several segments and pages") {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
    const std::vector<Request> requests{{700, 1}, {0, 0}, {1, 1}, {256, 1}, {257, 3}, {600, 8}};
    check({.shape = {.kv_heads = 2, .head_dim = 64}, .heads = 6, .dtype = dtype, .requests = requests},
          dtype == DType::kFloat32 ? kFloat : kSplit);
  }
}

TEST_CASE("emulated: prefill with cached prefixes beside decode") {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
    const std::vector<Request> requests{{90, 1}, {40, 40}, {0, 0}, {100, 30}, {20, 1}, {9, 9}};
    check({.shape = {.kv_heads = 1, .head_dim = 64}, .heads = 3, .dtype = dtype, .requests = requests},
          tolerance_of(dtype));
  }
}

TEST_CASE("emulated: attention with windows and soft caps and sinks") {
  test::Random random(4);
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
    for (const int window : {0, 37, 300}) {
      Batch batch{.shape = {.kv_heads = 1, .head_dim = 32},
                  .heads = 4,
                  .block = random.integer(1, 40),
                  .dtype = dtype,
                  .requests = {{640, 1}, {70, 24}, {530, 4}},
                  .options = {.window = window}};
      check(batch, tolerance_of(dtype));
      batch.options.soft_cap = 2.0F;
      for (int h = 0; h < batch.heads; ++h) batch.options.sinks.push_back(random.uniform(-2.0F, 2.0F));
      check(batch, tolerance_of(dtype));
    }
  }
}

TEST_CASE("emulated: attention heads of every size") {
  const std::vector<KvShape> shapes{{.kv_heads = 2, .head_dim = 7},
                                    {.kv_heads = 1, .head_dim = 20, .value_dim = 33},
                                    {.kv_heads = 1, .head_dim = 80},
                                    {.kv_heads = 1, .head_dim = 128, .value_dim = 64},
                                    {.kv_heads = 1, .head_dim = 192, .value_dim = 128},
                                    {.kv_heads = 1, .head_dim = 256},
                                    {.kv_heads = 1, .head_dim = 320}};
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
    for (const KvShape& shape : shapes) {
      check({.shape = shape, .heads = 2 * shape.kv_heads, .dtype = dtype, .requests = {{50, 1}, {40, 10}}},
            tolerance_of(dtype));
    }
  }
}

TEST_CASE("emulated: latent attention of wide heads") {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
    check({.shape = {.head_dim = 576, .value_dim = 512, .value_is_key = true},
           .heads = 20,
           .dtype = dtype,
           .requests = {{40, 1}, {12, 9}}},
          tolerance_of(dtype));
  }
  check({.shape = {.head_dim = 288, .value_dim = 256, .value_is_key = true},
         .heads = 3,
         .dtype = DType::kBFloat16,
         .requests = {{300, 1}, {33, 2}}},
        kSplit);
}

}  // namespace krait
