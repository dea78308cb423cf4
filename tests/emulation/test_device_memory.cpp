#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <numeric>
#include <vector>

#include "kernels/cuda/port.cuh"
#include "tests/emulation/child_process.h"
#include "tests/emulation/emulated_device.h"
#include "tests/emulation/fiber.h"

#ifdef KRAIT_EMULATION_ASAN
#include <sanitizer/asan_interface.h>
#endif

// The emulated device's memory is the device's alone: what a GPU would let pass in a test of the host's code and not in
// a run, a pointer followed on the wrong side, ends here.

using namespace krait;

namespace {

constexpr int kValues = 2000;
constexpr std::size_t kBytes = kValues * sizeof(float);

/// Whether a process that does this ends with a segmentation fault.
bool faults(const std::function<void()>& work) {
  const int status = test::status_of_child(work);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

bool host_cannot_read(const void* data) {
  return faults([=] { static_cast<void>(*static_cast<const volatile char*>(data)); });
}
bool host_cannot_write(void* data) {
  return faults([=] { *static_cast<volatile char*>(data) = 1; });
}

void double_kernel(float* data) { data[blockIdx.x] *= 2.0F; }
void double_on_device(void* data, unsigned count) {
  cuda::launch<float*>(double_kernel, {.grid = {count}, .block = {1}}, static_cast<float*>(data));
}

std::vector<float> counted() {
  std::vector<float> values(kValues);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

}  // namespace

TEST_CASE("emulated device: the host cannot touch device memory, before a kernel or after it") {
  const auto device = test::make_emulated_device();
  const auto stream = device->create_stream();
  const Buffer buffer = device->allocate(kBytes);
  auto* last = static_cast<char*>(buffer.data.get()) + kBytes - 1;
  CHECK(host_cannot_read(buffer.data.get()));
  CHECK(host_cannot_write(last));

  const std::vector<float> from = counted();
  device->copy_to_device(buffer.data.get(), from.data(), kBytes, stream);
  double_on_device(buffer.data.get(), kValues);
  CHECK(host_cannot_read(buffer.data.get()));
  CHECK(host_cannot_write(last));

  std::vector<float> to(kValues);
  device->copy_to_host(to.data(), buffer.data.get(), kBytes, stream);
  CHECK(to.front() == 2.0F);
  CHECK(to.back() == 2.0F * kValues);
  CHECK_FALSE(host_cannot_read(to.data()));
}

TEST_CASE("emulated device: uploads and caches are device memory, pinned memory is the host's") {
  const auto platform = test::make_emulated_platform();
  const std::vector<float> from = counted();
  CHECK(host_cannot_read(platform->upload(from.data(), kBytes).data.get()));

  const auto cache = platform->reserve(4 * kBytes);
  REQUIRE(cache->commit(kBytes));
  CHECK_FALSE(cache->host_accessible());
  CHECK(host_cannot_read(cache->data()));
  CHECK(host_cannot_write(cache->data()));

  const auto device = test::make_emulated_device();
  CHECK_FALSE(host_cannot_write(device->allocate_pinned(kBytes).data.get()));
}

TEST_CASE("emulated device: a kernel that throws leaves device memory as it was") {
  const auto device = test::make_emulated_device();
  const Buffer buffer = device->allocate(kBytes);
  const auto diverge = [](int) {
    if (threadIdx.x == 0) __syncthreads();
  };
  CHECK_THROWS_AS(cuda::launch<int>(+diverge, {.grid = {}, .block = {64}}, 0), cuda::emulation::KernelError);
  CHECK(host_cannot_read(buffer.data.get()));
}

TEST_CASE(
    "emulated device: a cache reads as zero where it was committed anew, and nobody touches what is not committed") {
  const auto platform = test::make_emulated_platform();
  const auto cache = platform->reserve(4 * kBytes);
  REQUIRE(cache->commit(2 * kBytes));
  const std::vector<float> ones(kValues, 1.0F);
  const auto* bytes = reinterpret_cast<const std::byte*>(ones.data());
  cache->write(0, kBytes, bytes);
  cache->write(kBytes, kBytes, bytes);
  cache->shrink(1);
  const std::size_t page = cache->committed();
  std::byte* end = cache->data() + page;
  CHECK(faults([=] { double_on_device(end, 1); }));

  REQUIRE(cache->commit(2 * kBytes));
  REQUIRE(cache->committed() >= 2 * kBytes);
  double_on_device(cache->data(), 1);
  std::array<float, 2> values{};
  cache->read(0, sizeof(float), reinterpret_cast<std::byte*>(&values[0]));
  cache->read(page, sizeof(float), reinterpret_cast<std::byte*>(&values[1]));
  CHECK(values == std::array<float, 2>{2.0F, 0.0F});
  CHECK_FALSE(cache->commit(cache->capacity() + 1));
}

#ifdef KRAIT_EMULATION_ASAN
TEST_CASE("emulated device: AddressSanitizer knows the first byte past a buffer, and every byte of one that is gone") {
  const auto device = test::make_emulated_device();
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{13}, std::size_t{4096}, kBytes}) {
    Buffer buffer = device->allocate(bytes), next = device->allocate(bytes);
    auto* data = static_cast<char*>(buffer.data.get());
    CAPTURE(bytes);
    CHECK(__asan_region_is_poisoned(data, bytes) == nullptr);
    CHECK(__asan_address_is_poisoned(data + bytes) != 0);
    CHECK(__asan_address_is_poisoned(static_cast<char*>(next.data.get()) - 1) != 0);
    buffer = {};
    if (bytes > 0) CHECK(__asan_region_is_poisoned(data, bytes) == data);
  }
}
#endif
