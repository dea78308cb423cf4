#include "tests/emulation/emulated_device.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "kernels/cpu/cpu_memory.h"
#include "tests/emulation/device_memory.h"
#include "tests/emulation/platform_under_test.h"

namespace krait::test {
namespace {

/// The host's own memory, begun as NaN.
Buffer allocate_nan(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  // Exactly as many as asked for: AddressSanitizer sees the first byte past the end.
  void* data = nullptr;
  if (posix_memalign(&data, kAlignment, bytes == 0 ? 1 : bytes) != 0) throw std::bad_alloc();
  std::memset(data, 0xFF, bytes);
  return Buffer{.data = std::shared_ptr<void>(data, std::free), .bytes = bytes};
}

class EmulatedDevice final : public cuda::Device {
 public:
  void make_current() const override {}
  [[nodiscard]] std::string name() const override { return "an emulated GPU"; }
  [[nodiscard]] int architecture() const override { return 90; }
  [[nodiscard]] int multiprocessors() const override { return 4; }
  [[nodiscard]] std::size_t free_memory() const override { return cpu::available_memory(); }
  Buffer allocate(std::size_t bytes) override { return heap_->allocate(bytes); }
  Buffer allocate_pinned(std::size_t bytes) override { return allocate_nan(bytes); }
  std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override {
    return cuda::emulation::reserve_device_memory(capacity);
  }
  cuda::Stream create_stream() override { return this; }
  void destroy_stream(cuda::Stream /*stream*/) override {}
  void wait(cuda::Stream /*stream*/) override {}
  void copy_to_device(void* to, const void* from, std::size_t bytes, cuda::Stream /*stream*/) override {
    copy(to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, cuda::Stream /*stream*/) override {
    copy(to, from, bytes);
  }
  void copy_on_device(void* to, const void* from, std::size_t bytes, cuda::Stream /*stream*/) override {
    copy(to, from, bytes);
  }

 private:
  static void copy(void* to, const void* from, std::size_t bytes) {
    const cuda::emulation::DeviceAccess access;
    if (bytes > 0) std::memmove(to, from, bytes);
  }

  std::shared_ptr<cuda::emulation::DeviceHeap> heap_ = std::make_shared<cuda::emulation::DeviceHeap>();
};

class EmulatedGemm final : public cuda::Gemm {
 public:
  void run(const cuda::GemmArgs& args, cuda::Stream /*stream*/) override {
    const cuda::emulation::DeviceAccess access;
    for (int row = 0; row < args.m; ++row) {
      for (int column = 0; column < args.n; ++column) {
        double sum = 0.0;
        for (int i = 0; i < args.k; ++i) {
          sum += static_cast<double>(value(args.x, args.dtype, row * args.x_stride + i)) *
                 static_cast<double>(value(args.w, args.dtype, std::int64_t{column} * args.k + i));
        }
        float& y = args.y.data[row * args.y.stride + column];
        y = args.accumulate ? y + static_cast<float>(sum) : static_cast<float>(sum);
      }
    }
  }

 private:
  static float value(const void* data, DType dtype, std::int64_t index) {
    if (dtype == DType::kFloat32) return static_cast<const float*>(data)[index];
    return bfloat16_to_float(static_cast<const std::uint16_t*>(data)[index]);
  }
};

}  // namespace

std::unique_ptr<cuda::Device> make_emulated_device() { return std::make_unique<EmulatedDevice>(); }
std::unique_ptr<Platform> make_platform_under_test() { return make_emulated_platform(); }
std::unique_ptr<cuda::Gemm> make_emulated_gemm() { return std::make_unique<EmulatedGemm>(); }

}  // namespace krait::test
