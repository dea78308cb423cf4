#include "tests/emulation/emulated_device.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_memory.h"
#include "tests/emulation/device_memory.h"
#include "tests/emulation/emulated_stream.h"
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

/// As CUDA has it: work that may use the memory is done before it is free.
Buffer freed_after_work(Buffer buffer) {
  void* data = buffer.data.get();
  const auto free = [held = std::move(buffer.data)](void* /*memory*/) mutable {
    cuda::emulation::finish(cuda::emulation::put_so_far());
    held.reset();
  };
  return Buffer{.data = std::shared_ptr<void>(data, free), .bytes = buffer.bytes};
}

/// Puts the work into the stream, or captures it.
template <typename Run>
void submit(const char* kind, const auto& arguments, Run run) {
  auto* captured = cuda::emulation::captured();
  if (captured == nullptr) return cuda::emulation::put(run);
  captured->push_back({kind + (" " + cuda::emulation::value_as_text(arguments)), run});
}

/// What a device refuses during a capture.
void refuse_while_capturing(const char* what) {
  if (cuda::emulation::captured() != nullptr) throw cuda::DeviceError(std::string(what) + " during a capture");
}

class EmulatedGraph final : public cuda::DeviceGraph {
 public:
  explicit EmulatedGraph(std::vector<cuda::emulation::StreamWork> work) : work_(std::move(work)) {}
  [[nodiscard]] std::string listing() const override {
    std::string text;
    for (const auto& one : work_) text += one.what + "\n";
    return text;
  }
  [[nodiscard]] const std::vector<cuda::emulation::StreamWork>& work() const { return work_; }

 private:
  std::vector<cuda::emulation::StreamWork> work_;
};

class EmulatedEvent final : public cuda::DeviceEvent {
 public:
  void wait() override {
    refuse_while_capturing("a wait");
    cuda::emulation::finish(place_);
  }

 private:
  std::uint64_t place_ = cuda::emulation::put_so_far();
};

class EmulatedDevice final : public cuda::Device {
 public:
  void make_current() const override {}
  [[nodiscard]] std::string name() const override { return "an emulated GPU"; }
  [[nodiscard]] int architecture() const override { return 90; }
  [[nodiscard]] int multiprocessors() const override { return 4; }
  [[nodiscard]] std::size_t free_memory() const override { return cpu::available_memory(); }
  Buffer allocate(std::size_t bytes) override {
    refuse_while_capturing("an allocation");
    return freed_after_work(heap_->allocate(bytes));
  }
  Buffer allocate_pinned(std::size_t bytes) override {
    refuse_while_capturing("an allocation");
    return freed_after_work(allocate_nan(bytes));
  }
  std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override {
    return cuda::emulation::reserve_device_memory(capacity);
  }
  cuda::Stream create_stream() override { return this; }
  void destroy_stream(cuda::Stream /*stream*/) override {}
  void wait(cuda::Stream /*stream*/) override {
    refuse_while_capturing("a wait");
    cuda::emulation::finish(cuda::emulation::put_so_far());
  }
  std::unique_ptr<cuda::DeviceEvent> record_event(cuda::Stream /*stream*/) override {
    return std::make_unique<EmulatedEvent>();
  }
  void copy_to_device(void* to, const void* from, std::size_t bytes, cuda::Stream /*stream*/) override {
    copy(to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, cuda::Stream /*stream*/) override {
    copy(to, from, bytes);
  }
  void copy_on_device(void* to, const void* from, std::size_t bytes, cuda::Stream /*stream*/) override {
    copy(to, from, bytes);
  }
  void begin_capture(cuda::Stream /*stream*/) override { cuda::emulation::begin_capture(); }
  std::unique_ptr<cuda::DeviceGraph> end_capture(cuda::Stream /*stream*/) override {
    return std::make_unique<EmulatedGraph>(cuda::emulation::end_capture());
  }
  void abandon_capture(cuda::Stream /*stream*/) noexcept override { cuda::emulation::end_capture(); }
  void launch(const cuda::DeviceGraph& graph, cuda::Stream /*stream*/) override {
    refuse_while_capturing("a graph's launch");
    const cuda::emulation::DeviceAccess access;
    for (const auto& one : dynamic_cast<const EmulatedGraph&>(graph).work()) cuda::emulation::put(one.run);
  }

 private:
  struct Copy {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    submit("copy", Copy{to, from, bytes}, [=] {
      const cuda::emulation::DeviceAccess access;
      std::memmove(to, from, bytes);
    });
  }

  std::shared_ptr<cuda::emulation::DeviceHeap> heap_ = std::make_shared<cuda::emulation::DeviceHeap>();
};

class EmulatedGemm final : public cuda::Gemm {
 public:
  void run(const cuda::GemmArgs& args, cuda::Stream /*stream*/) override {
    submit("product", args, [args] { multiply(args); });
  }

 private:
  static void multiply(const cuda::GemmArgs& args) {
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
