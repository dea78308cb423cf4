#include "kernels/cpu/cpu_platform.h"

#include <cstring>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/cpu_topology.h"
#include "kernels/cpu/cpu_weight.h"
#include "kernels/cpu/numa_memory.h"
#include "kernels/cpu/weight_image.h"
#include "kernels/cpu/worker_places.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"
#include "kernels/thread_scheduling.h"

namespace krait {
namespace {

/// Operations are done when their call returns, so there is nothing to wait for.
class CpuQueue final : public Queue {
 public:
  CpuQueue(const cpu::KernelTable& kernels, ThreadPool& pool) : operations_(kernels, pool) {}
  Operations& ops() override { return operations_; }
  void wait() override {}
  void download(void* to, const TensorView& from) override {
    const std::size_t bytes = static_cast<std::size_t>(from.columns()) * dtype_size(from.dtype);
    const std::size_t stride = static_cast<std::size_t>(from.row_stride) * dtype_size(from.dtype);
    if (bytes == 0) return;
    for (std::int64_t row = 0; row < from.rows(); ++row) {
      const auto r = static_cast<std::size_t>(row);
      std::memcpy(static_cast<std::byte*>(to) + r * bytes, from.as<const std::byte>() + r * stride, bytes);
    }
  }

 private:
  cpu::CpuOperations operations_;
};

/// The calling thread as worker 0; back where it was afterwards.
class WorkerPlacement final : public ThreadPlacement {
 public:
  explicit WorkerPlacement(const WorkerPlace& place) : before_(thread_cpus()) { set_thread_cpus(place.cpus); }
  ~WorkerPlacement() override { set_thread_cpus(before_); }
  WorkerPlacement(const WorkerPlacement&) = delete;
  WorkerPlacement& operator=(const WorkerPlacement&) = delete;

 private:
  std::vector<int> before_;
};

cpu::Placement place_workers(const CpuOptions& options) {
  return cpu::plan_placement(cpu::read_cpu_topology(thread_cpus()),
                             {.threads = options.threads,
                              .quota = cpu_quota(),
                              .numa = cpu::parse_numa_policy(options.numa),
                              .pinning = cpu::parse_pinning(options.cpu_pinning)});
}

}  // namespace

CpuPlatform::CpuPlatform(const CpuOptions& options)
    : isa_(std::make_unique<const cpu::Isa>(cpu::choose_isa(options.isa, cpu::detect_cpu_features()))) {
  if (options.threads < 0) {
    throw StartupError(
        Error{.code = ErrorCode::kInvalidArgument,
              .message = "threads must be 0 (all usable cores) or more, not " + std::to_string(options.threads) + ".",
              .field = "threads"});
  }
  cpu::Placement placement = place_workers(options);
  memory_nodes_ = std::move(placement.memory_nodes);
  pinned_ = placement.pinned;
  // Before the workers are there, which place themselves.
  set_process_cpus(placement.other_cpus);
  pool_ = std::make_unique<ThreadPool>(placement.threads, std::move(placement.places));
}

CpuPlatform::~CpuPlatform() = default;

std::string CpuPlatform::description() const {
  std::string text = isa_->title + ", " + std::to_string(pool_->size()) + (pool_->size() == 1 ? " thread" : " threads");
  if (pinned_) text += ", pinned";
  if (memory_nodes_.size() == 1) text += ", on node " + std::to_string(memory_nodes_.front());
  if (memory_nodes_.size() > 1) text += ", over " + std::to_string(memory_nodes_.size()) + " nodes";
  return text;
}

std::string CpuPlatform::numerics() const { return std::string(name()) + ", " + isa_->title; }

Buffer CpuPlatform::allocate(std::size_t bytes) { return cpu::allocate_buffer(bytes); }

Buffer CpuPlatform::upload(const void* from, std::size_t bytes) {
  Buffer buffer = allocate(bytes);
  if (bytes > 0) std::memcpy(buffer.data.get(), from, bytes);
  return buffer;
}

// Who reads an item of a cache is not known beforehand: its pages are spread over the nodes.
std::unique_ptr<ReservedMemory> CpuPlatform::reserve(std::size_t capacity) {
  std::unique_ptr<ReservedMemory> memory = cpu::reserve_memory(capacity);
  cpu::spread_over_nodes(memory->data(), memory->capacity(), memory_nodes_);
  return memory;
}

std::size_t CpuPlatform::available_memory() const { return cpu::available_memory(); }

std::unique_ptr<Queue> CpuPlatform::create_queue() { return std::make_unique<CpuQueue>(isa_->kernels, *pool_); }

std::unique_ptr<ThreadPlacement> CpuPlatform::place_calling_thread() {
  if (pool_->places().empty()) return nullptr;
  return std::make_unique<WorkerPlacement>(pool_->places().front());
}

PackedWeight CpuPlatform::pack(const WeightSource& source, const PackScheme& scheme, const Shard& shard) {
  if (!supports_compute_dtype(scheme.compute_dtype)) {
    throw StartupError("The CPU platform does not compute in " + std::string(dtype_name(scheme.compute_dtype)) +
                       "; valid are float32, bfloat16 and int8.");
  }
  if (scheme.compute_dtype == DType::kInt8 && scheme.quantization == Quantization::kNone) {
    throw StartupError("Rows of int8 need quantised weights.");
  }
  return cpu::pack_weight(source, scheme, shard, isa_->kernels, *pool_);
}

// The instruction set is in it because quantising rounds as its kernels do, and because it decides on pairs.
std::string CpuPlatform::packed_format() const { return numerics() + ", panels " + std::to_string(cpu::kPanelVersion); }

PackedImage CpuPlatform::image(const PackedWeight& weight) const { return cpu::image_of(weight); }

PackedWeight CpuPlatform::restore(const PackedImage& image) { return cpu::restore_weight(image); }

DType CpuPlatform::default_compute_dtype() const {
  return isa_->kernels.gemm_pairs != nullptr ? DType::kBFloat16 : DType::kFloat32;
}

bool CpuPlatform::supports_compute_dtype(DType dtype) const {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kInt8;
}

int CpuPlatform::preferred_prefill_tile() const { return static_cast<int>(cpu::kGemmRowBlock); }

int CpuPlatform::row_tile() const { return isa_->kernels.gemm_rows; }

}  // namespace krait
