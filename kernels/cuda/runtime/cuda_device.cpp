#include <cuda_runtime_api.h>

#include <algorithm>
#include <new>

#include "kernels/cuda/cuda_check.h"
#include "kernels/cuda/runtime/captured_graph.h"
#include "kernels/cuda/runtime/kernel_probe.h"
#include "kernels/cuda/runtime/open_device.h"
#include "kernels/cuda/runtime/virtual_memory.h"
#include "kernels/result.h"

namespace krait::cuda {
namespace {

/// The first architecture with asynchronous copies and bfloat16 matrix products.
constexpr int kOldestArchitecture = 80;

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// Why the runtime cannot say how many devices there are.
std::string no_devices_reason(cudaError_t status) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) return "this machine has no NVIDIA driver.";
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  if (status == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver knows CUDA up to " + version_text(driver) + " and this build needs " +
           version_text(runtime) + ": update the driver.";
  }
  if (status == cudaErrorNoDevice || status == cudaSuccess) {
    return "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES may hide them).";
  }
  return std::string("the NVIDIA driver does not work: ") + cudaGetErrorString(status) + ".";
}

void throw_out_of_memory(cudaError_t status, const char* call) {
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it would show in a later call
    throw std::bad_alloc();
  }
  check(status, call);
}

class CudaEvent final : public DeviceEvent {
 public:
  explicit CudaEvent(cudaStream_t stream) {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    const cudaError_t status = cudaEventRecord(event_, stream);
    if (status == cudaSuccess) return;
    cudaEventDestroy(event_);
    check(status, "cudaEventRecord");
  }
  ~CudaEvent() override { cudaEventDestroy(event_); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  void wait() override { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(int ordinal, const cudaDeviceProp& properties) : ordinal_(ordinal), properties_(properties) {
    check(cudaStreamCreateWithFlags(&memory_stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  ~CudaDevice() override {
    cudaSetDevice(ordinal_);
    cudaStreamDestroy(memory_stream_);
  }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  [[nodiscard]] std::string name() const override { return properties_.name; }
  [[nodiscard]] int architecture() const override { return properties_.major * 10 + properties_.minor; }
  [[nodiscard]] int multiprocessors() const override { return properties_.multiProcessorCount; }
  [[nodiscard]] std::size_t free_memory() const override {
    make_current();
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
  }
  void make_current() const override { check(cudaSetDevice(ordinal_), "cudaSetDevice"); }

  // Not from a stream's pool: a buffer may be let go of while another stream reads it, and cudaFree waits for all.
  Buffer allocate(std::size_t bytes) override {
    make_current();
    void* data = nullptr;
    throw_out_of_memory(cudaMalloc(&data, std::max<std::size_t>(bytes, 1)), "cudaMalloc");
    const auto free = [ordinal = ordinal_](void* memory) {
      cudaSetDevice(ordinal);
      cudaFree(memory);
    };
    return {.data = std::shared_ptr<void>(data, free), .bytes = bytes};
  }
  Buffer allocate_pinned(std::size_t bytes) override {
    make_current();
    void* data = nullptr;
    throw_out_of_memory(cudaHostAlloc(&data, std::max<std::size_t>(bytes, 1), cudaHostAllocPortable), "cudaHostAlloc");
    return {.data = std::shared_ptr<void>(data, [](void* memory) { cudaFreeHost(memory); }), .bytes = bytes};
  }
  std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override {
    make_current();
    return reserve_virtual_memory(ordinal_, capacity, memory_stream_);
  }

  Stream create_stream() override {
    make_current();
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return stream;
  }
  void destroy_stream(Stream stream) override {
    cudaSetDevice(ordinal_);
    cudaStreamDestroy(static_cast<cudaStream_t>(stream));
  }
  void wait(Stream stream) override {
    make_current();
    check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "cudaStreamSynchronize");
  }
  std::unique_ptr<DeviceEvent> record_event(Stream stream) override {
    make_current();
    return std::make_unique<CudaEvent>(static_cast<cudaStream_t>(stream));
  }

  void copy_to_device(void* to, const void* from, std::size_t bytes, Stream stream) override {
    copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes, Stream stream) override {
    copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
  }
  void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) override {
    copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
  }

  void begin_capture(Stream stream) override {
    make_current();
    check(cudaStreamBeginCapture(static_cast<cudaStream_t>(stream), cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
  }
  std::unique_ptr<DeviceGraph> end_capture(Stream stream) override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &graph), "cudaStreamEndCapture");
    return instantiate(graph);
  }
  void abandon_capture(Stream stream) noexcept override {
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();  // what went wrong is being thrown already
  }
  void launch(const DeviceGraph& graph, Stream stream) override {
    make_current();
    launch_graph(graph, static_cast<cudaStream_t>(stream));
  }

 private:
  void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, Stream stream) const {
    if (bytes == 0) return;
    make_current();
    check(cudaMemcpyAsync(to, from, bytes, kind, static_cast<cudaStream_t>(stream)), "cudaMemcpyAsync");
  }

  int ordinal_;
  cudaDeviceProp properties_;
  cudaStream_t memory_stream_ = nullptr;
};

std::string list_devices(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::string("cuda:") + std::to_string(i) + " (" + names[i] + ")";
  }
  return text;
}

[[noreturn]] void refuse(const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kUnsupported, .message = message, .field = {}});
}

}  // namespace

VisibleDevices find_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();  // an answer, not an error of what follows
  VisibleDevices devices;
  if (status != cudaSuccess || count == 0) {
    devices.reason = no_devices_reason(status);
    return devices;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    devices.names.emplace_back(properties.name);
  }
  return devices;
}

std::unique_ptr<Device> open_device(int ordinal) {
  const VisibleDevices devices = find_devices();
  if (devices.names.empty()) refuse(devices.reason);
  if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= devices.names.size()) {
    refuse("there is no such GPU. Valid: " + list_devices(devices.names) + ".");
  }
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
  const int architecture = properties.major * 10 + properties.minor;
  const std::string gpu = std::string(properties.name) + " has compute capability " + std::to_string(properties.major) +
                          "." + std::to_string(properties.minor);
  if (architecture < kOldestArchitecture) refuse(gpu + "; at least 8.0 is needed.");
  check(cudaSetDevice(ordinal), "cudaSetDevice");
  if (!has_kernels_for_device()) {
    refuse(gpu + ", and this build has kernels for " KRAIT_CUDA_ARCHITECTURES
                 " (the CMake variable CMAKE_CUDA_ARCHITECTURES chooses them).");
  }
  return std::make_unique<CudaDevice>(ordinal, properties);
}

}  // namespace krait::cuda
