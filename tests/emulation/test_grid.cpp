#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/cuda/reduce.cuh"
#include "tests/emulation/child_process.h"
#include "tests/emulation/emulation_support.h"
#include "tests/emulation/fiber.h"

// The emulated grid itself: what a right kernel gets, and what a wrong one is told. Each mistake here is one that a GPU
// may let pass.

using namespace krait;
using namespace krait::cuda;
using Catch::Matchers::Contains;

namespace {

constexpr int kThreads = 64;

std::string failure(const std::function<void()>& run) {
  try {
    run();
  } catch (const emulation::KernelError& error) {
    return error.what();
  }
  return {};
}

int thread() { return static_cast<int>(threadIdx.x); }

/// Reverses an array through shared memory. Without the barrier a thread reads what nobody has written.
void reverse_kernel(float* data, bool with_barrier) {
  SHARED_ARRAY(float, shared, kThreads);
  shared[thread()] = data[thread()];
  if (with_barrier) __syncthreads();
  data[thread()] = shared[kThreads - 1 - thread()];
}

/// Every thread adds up what the others wrote, twice. Without the second barrier fast threads overwrite the values that
/// slow ones still read.
void rounds_kernel(float* out, bool with_second_barrier) {
  SHARED_ARRAY(float, shared, kThreads);
  float total = 0.0F;
  for (int round = 1; round <= 2; ++round) {
    shared[thread()] = static_cast<float>(round);
    __syncthreads();
    for (const float value : shared) total += value;
    if (with_second_barrier) __syncthreads();
  }
  out[thread()] = total;
}

void two_barriers_kernel(int) {
  if (thread() < kThreads / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
void early_return_kernel(int) {
  if (thread() == 3) return;
  __syncthreads();
}
void half_warp_kernel(float* data) {
  if (thread() % 32 < 16) data[thread()] = warp_sum(data[thread()]);
}
void foreign_lane_kernel(float* data) {
  if (thread() % 32 < 16) data[thread()] = __shfl_sync(0xffffU, data[thread()], 20);
}
void outside_mask_kernel(float* data) { data[thread()] = __shfl_sync(0xffffU, data[thread()], 0); }

void copy_kernel(float* data, const float* from, bool with_wait) {
  SHARED_ARRAY(float, shared, 4 * kThreads);
  ptx::cp_async16(shared + 4 * thread(), from + 4 * thread(), thread() % 2 == 0);
  ptx::cp_async_commit();
  if (with_wait) ptx::cp_async_wait<0>();
  for (int i = 0; i < 4; ++i) data[4 * thread() + i] = shared[4 * thread() + i];
}

void sums_kernel(float* data) {
  const float first = block_sum<kThreads>(static_cast<float>(thread()));
  const float second = block_sum<kThreads>(1.0F);
  data[thread()] = first + 1000.0F * second;
}

void votes_kernel(unsigned* out) {
  out[thread()] = __ballot_sync(kAllLanes, thread() % 3 == 0);
  atomicAdd(out + kThreads, 1U);
}

/// C (16 x 8) = A (16 x 16) B (16 x 8) with whole matrices in memory, both rows by k.
void product_kernel(const float* a, const float* b, float* c) {
  const int g = thread() / 4, t = thread() % 4;
  const auto pair = [](const float* row) {
    const unsigned low = from_float<bfloat16>(row[0]).bits;
    const unsigned high = from_float<bfloat16>(row[1]).bits;
    return low | high << 16;
  };
  std::uint32_t fa[4], fb[2];
  float sums[4] = {};
  for (int r = 0; r < 4; ++r) fa[r] = pair(a + (g + 8 * (r & 1)) * 16 + 2 * t + 8 * (r >> 1));
  for (int r = 0; r < 2; ++r) fb[r] = pair(b + g * 16 + 2 * t + 8 * r);
  ptx::mma_m16n8k16(sums, fa, fb);
  for (int i = 0; i < 4; ++i) c[(g + 8 * (i >> 1)) * 8 + 2 * t + (i & 1)] = sums[i];
}

const Launch kOneBlock{.grid = {}, .block = {kThreads}};

std::vector<float> counted(int n) {
  std::vector<float> values;
  for (int i = 0; i < n; ++i) values.push_back(static_cast<float>(i));
  return values;
}

}  // namespace

TEST_CASE("emulated grid: indices run over blocks and threads") {
  std::vector<int> hits(2 * 3 * 4 * 10, 0);
  const auto mark = [](int* to) {
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    ++to[block * 10 + threadIdx.y * blockDim.x + threadIdx.x];
  };
  launch<int*>(+mark, {.grid = {2, 3, 4}, .block = {5, 2}}, hits.data());
  CHECK(hits == std::vector<int>(hits.size(), 1));
}

TEST_CASE("emulated grid: shared memory and barriers") {
  test::in_every_order([] {
    std::vector<float> data = counted(kThreads);
    launch(reverse_kernel, kOneBlock, data.data(), true);
    CHECK(data.front() == 63.0F);
    CHECK(data.back() == 0.0F);
    std::vector<float> totals(kThreads);
    launch(rounds_kernel, kOneBlock, totals.data(), true);
    CHECK(totals == std::vector<float>(kThreads, 192.0F));
    launch(sums_kernel, kOneBlock, totals.data());
    CHECK(totals == std::vector<float>(kThreads, 2016.0F + 64000.0F));
  });
}

#ifdef KRAIT_EMULATION_TSAN
TEST_CASE("racing grid: a reversal without its barrier", "[.]") {
  std::vector<float> data = counted(kThreads);
  launch(reverse_kernel, kOneBlock, data.data(), false);
}
TEST_CASE("racing grid: rounds without their second barrier", "[.]") {
  std::vector<float> totals(kThreads);
  launch(rounds_kernel, kOneBlock, totals.data(), false);
}

TEST_CASE("emulated grid: a missing barrier is a data race to ThreadSanitizer") {
  // A program of its own: ThreadSanitizer looks at nothing after a fork from a process that has fibers.
  for (const char* name : {"racing grid: a reversal*", "racing grid: rounds*"}) {
    const int status = test::status_of_child([&] { execl("/proc/self/exe", "emulation_tests", name, nullptr); });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 66);  // ThreadSanitizer's, with halt_on_error of the test preset
  }
}
#else
TEST_CASE("emulated grid: a missing barrier shows in the result") {
  int wrong_reversals = 0, wrong_rounds = 0;
  test::in_every_order([&] {
    std::vector<float> data = counted(kThreads);
    launch(reverse_kernel, kOneBlock, data.data(), false);
    for (const float value : data) wrong_reversals += std::isnan(value) ? 1 : 0;
    std::vector<float> totals(kThreads);
    launch(rounds_kernel, kOneBlock, totals.data(), false);
    for (const float total : totals) wrong_rounds += total == 192.0F ? 0 : 1;
  });
  CHECK(wrong_reversals > 0);
  CHECK(wrong_rounds > 0);
}
#endif

TEST_CASE("emulated grid: threads that can never meet are named") {
  std::vector<float> data = counted(kThreads);
  CHECK_THAT(failure([&] { launch(two_barriers_kernel, kOneBlock, 0); }), Contains("different barriers"));
  CHECK_THAT(failure([&] { launch(early_return_kernel, kOneBlock, 0); }), Contains("never ends (1 of 64"));
  CHECK_THAT(failure([&] { launch(half_warp_kernel, kOneBlock, data.data()); }), Contains("never ends"));
  CHECK_THAT(failure([&] { launch(outside_mask_kernel, kOneBlock, data.data()); }), Contains("outside its own mask"));
  // The next launch works.
  launch(reverse_kernel, kOneBlock, data.data(), true);
}

TEST_CASE("emulated grid: a lane outside the mask has nothing to give") {
  std::vector<float> data = counted(kThreads);
  launch(foreign_lane_kernel, kOneBlock, data.data());
  CHECK(std::isnan(data[0]));
  CHECK(data[20] == 20.0F);
}

TEST_CASE("emulated grid: an asynchronous copy is there after its wait, and not before") {
  const std::vector<float> from = counted(4 * kThreads);
  std::vector<float> to(from.size());
  launch(copy_kernel, kOneBlock, to.data(), from.data(), true);
  CHECK(to[9] == 9.0F);
  CHECK(to[5] == 0.0F);  // thread 1 asked for zeros
  launch(copy_kernel, kOneBlock, to.data(), from.data(), false);
  CHECK(std::isnan(to[9]));
}

TEST_CASE("emulated grid: votes and atomics") {
  std::vector<unsigned> out(kThreads + 1);
  launch(votes_kernel, {.grid = {3}, .block = {kThreads}}, out.data());
  CHECK(out[0] == 0x49249249U);
  CHECK(out[40] == 0x92492492U);  // threads 33, 36, …
  CHECK(out[kThreads] == 3 * kThreads);
}

TEST_CASE("emulated grid: a matrix product of fragments") {
  test::Random random(3);
  const test::Matrix a = random.matrix(16, 16), b = random.matrix(8, 16);
  test::Matrix c(16, 8);
  launch(product_kernel, {.grid = {}, .block = {32}}, a.data.data(), b.data.data(), c.data.data());
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      double sum = 0.0;
      for (int k = 0; k < 16; ++k) {
        sum += static_cast<double>(test::round_to(a.at(row, k), DType::kBFloat16)) *
               static_cast<double>(test::round_to(b.at(column, k), DType::kBFloat16));
      }
      CHECK(c.at(row, column) == Approx(sum).margin(1e-5));
    }
  }
}

TEST_CASE("emulated grid: a launch that no device takes is refused") {
  CHECK_THAT(failure([] { launch(early_return_kernel, {.grid = {}, .block = {1025}}, 0); }), Contains("1025 threads"));
  CHECK_THAT(failure([] { launch(early_return_kernel, {.grid = {0}, .block = {32}}, 0); }), Contains("a grid of 0"));
  CHECK_THAT(failure([] { launch(early_return_kernel, {.grid = {}, .block = {32}, .shared_bytes = 240000}, 0); }),
             Contains("227 KiB"));
}
