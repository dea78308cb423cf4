#include <catch2/catch.hpp>
#include <random>

#include "kernels/cuda/make_cuda_platform.h"
#include "kernels/cuda/runtime/cublas_gemm.h"
#include "kernels/cuda/runtime/nccl_communicator.h"
#include "kernels/cuda/runtime/open_device.h"
#include "kernels/result.h"

// What the device under the CUDA platform promises (kernels/cuda/device.h), on a real one.

namespace krait {
namespace {

std::vector<float> numbers(std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = std::uniform_real_distribution<float>(-1.0F, 1.0F)(random);
  return values;
}

/// A device, a stream and what moves numbers.
struct Bench {
  std::unique_ptr<cuda::Device> device = cuda::open_device(0);
  cuda::Stream stream = device->create_stream();

  Bench() = default;
  ~Bench() { device->destroy_stream(stream); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  template <typename T>
  Buffer up(const std::vector<T>& values) {
    Buffer buffer = device->allocate(values.size() * sizeof(T));
    device->copy_to_device(buffer.data.get(), values.data(), buffer.bytes, stream);
    device->wait(stream);
    return buffer;
  }
  std::vector<float> down(const void* from, std::size_t count) {
    std::vector<float> values(count);
    device->copy_to_host(values.data(), from, count * sizeof(float), stream);
    device->wait(stream);
    return values;
  }
};

}  // namespace

TEST_CASE("gpu: numbers come back from the device, and from memory that the host has pinned") {
  Bench bench;
  INFO(bench.device->name());
  CHECK(bench.device->architecture() >= 80);
  CHECK(bench.device->multiprocessors() > 0);
  CHECK(bench.device->free_memory() > 0);
  const std::vector<float> values = numbers(100'000);
  const Buffer first = bench.up(values);
  CHECK(reinterpret_cast<std::uintptr_t>(first.data.get()) % 256 == 0);
  const Buffer second = bench.device->allocate(first.bytes);
  bench.device->copy_on_device(second.data.get(), first.data.get(), first.bytes, bench.stream);
  CHECK(bench.down(second.data.get(), values.size()) == values);
  const Buffer pinned = bench.device->allocate_pinned(first.bytes);
  bench.device->copy_to_host(pinned.data.get(), second.data.get(), first.bytes, bench.stream);
  bench.device->wait(bench.stream);
  const auto* begin = static_cast<const float*>(pinned.data.get());
  CHECK(std::vector<float>(begin, begin + values.size()) == values);
  CHECK_NOTHROW(bench.device->allocate(0));
  CHECK_THROWS_AS(bench.device->allocate(std::size_t{1} << 50), std::bad_alloc);
}

TEST_CASE("gpu: reserved memory commits as zeros, keeps its content, and gives back what is behind") {
  Bench bench;
  const auto memory = bench.device->reserve(std::size_t{1} << 30);
  CHECK_FALSE(memory->host_accessible());
  CHECK(memory->capacity() >= std::size_t{1} << 30);
  CHECK(memory->committed() == 0);
  constexpr std::size_t kStep = std::size_t{4} << 20;
  constexpr std::size_t kFloats = kStep / sizeof(float);
  REQUIRE(memory->commit(kStep));
  CHECK(bench.down(memory->data(), kFloats) == std::vector<float>(kFloats));
  const std::vector<float> values = numbers(kFloats);
  bench.device->copy_to_device(memory->data(), values.data(), kStep, bench.stream);
  REQUIRE(memory->commit(3 * kStep));
  CHECK(memory->committed() >= 3 * kStep);
  CHECK(bench.down(memory->data(), kFloats) == values);
  bench.device->copy_to_device(memory->data() + 2 * kStep, values.data(), kStep, bench.stream);
  bench.device->wait(bench.stream);
  memory->shrink(kStep);
  CHECK(memory->committed() == kStep);
  CHECK(bench.down(memory->data(), kFloats) == values);
  REQUIRE(memory->commit(3 * kStep));
  CHECK(bench.down(memory->data() + 2 * kStep, kFloats) == std::vector<float>(kFloats));
  memory->discard(0, kStep);
  CHECK_FALSE(memory->commit(memory->capacity() + 1));
}

TEST_CASE("gpu: memory that the device does not have is not committed") {
  Bench bench;
  const std::size_t too_much = bench.device->free_memory() + (std::size_t{64} << 30);
  const auto memory = bench.device->reserve(too_much);
  CHECK_FALSE(memory->commit(too_much));
  CHECK(memory->committed() == 0);
  CHECK(memory->commit(std::size_t{1} << 20));
}

TEST_CASE("gpu: products are as in double precision") {
  Bench bench;
  const auto gemm = cuda::make_cublas_gemm(*bench.device);
  for (const auto& [m, n, k] : {std::array{1, 64, 32}, std::array{3, 33, 17}, std::array{130, 256, 512}}) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      for (const bool accumulate : {false, true}) {
        CAPTURE(m, n, k, dtype_name(dtype), accumulate);
        const auto rounded = [&](std::size_t count, unsigned seed) {
          std::vector<float> values = numbers(count, seed);
          if (dtype == DType::kBFloat16) {
            for (float& value : values) value = bfloat16_to_float(float_to_bfloat16(value));
          }
          return values;
        };
        const auto up = [&](const std::vector<float>& values) {
          if (dtype == DType::kFloat32) return bench.up(values);
          std::vector<std::uint16_t> bits;
          for (const float value : values) bits.push_back(float_to_bfloat16(value));
          return bench.up(bits);
        };
        const auto rows = static_cast<std::size_t>(m);
        const auto outputs = static_cast<std::size_t>(n);
        const auto inputs = static_cast<std::size_t>(k);
        const std::vector<float> x = rounded(rows * inputs, 2);
        const std::vector<float> w = rounded(outputs * inputs, 3);
        const std::vector<float> before = numbers(rows * outputs, 4);
        const Buffer x_there = up(x);
        const Buffer w_there = up(w);
        const Buffer y_there = bench.up(before);
        gemm->run({.m = m,
                   .n = n,
                   .k = k,
                   .dtype = dtype,
                   .x = x_there.data.get(),
                   .x_stride = k,
                   .w = w_there.data.get(),
                   .y = {.data = static_cast<float*>(y_there.data.get()), .stride = n},
                   .accumulate = accumulate},
                  bench.stream);
        const std::vector<float> y = bench.down(y_there.data.get(), before.size());
        double worst = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) {
          double sum = accumulate ? static_cast<double>(before[i]) : 0.0;
          for (std::size_t j = 0; j < inputs; ++j) {
            sum += static_cast<double>(x[i / outputs * inputs + j]) * static_cast<double>(w[i % outputs * inputs + j]);
          }
          worst = std::max(worst, std::abs(static_cast<double>(y[i]) - sum) / (1.0 + std::abs(sum)));
        }
        // TF32 would be off by 1e-3.
        CHECK(worst < 2e-5);
      }
    }
  }
}

TEST_CASE("gpu: a group of one rank gives back what it was given") {
  Bench bench;
  const auto group = cuda::make_nccl_communicator(*bench.device, bench.stream, cuda::make_nccl_group_id(), 0, 1);
  const std::vector<float> values = numbers(1000);
  const Buffer data = bench.up(values);
  const Buffer other = bench.up(numbers(1000, 2));
  const TensorView view(data.data.get(), DType::kFloat32, Shape{10, 100});
  group->all_reduce(view);
  group->broadcast(view, 0);
  group->all_gather(view, TensorView(other.data.get(), DType::kFloat32, Shape{10, 100}));
  CHECK(bench.down(data.data.get(), 1000) == values);
  CHECK(bench.down(other.data.get(), 1000) == values);
}

TEST_CASE("gpu: what is uploaded comes down again, rows that lie apart one after another") {
  const auto platform = make_cuda_platform(0);
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const Tensor tensor(platform->upload(values.data(), values.size() * sizeof(float)), DType::kFloat32, {2, 3});
  const auto queue = platform->create_queue();
  std::vector<float> right(4);
  queue->download(right.data(), tensor.view().slice_columns(1, 2));
  CHECK(right == std::vector<float>{2, 3, 5, 6});
  CHECK(platform->upload(nullptr, 0).bytes == 0);
}

TEST_CASE("gpu: a device that is not there is refused with those that are") {
  const auto refusal = [](int ordinal) {
    try {
      make_cuda_platform(ordinal);
    } catch (const StartupError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal(99).find("there is no such GPU. Valid: cuda:0 (") != std::string::npos);
}

}  // namespace krait
