#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/platform.h"

namespace krait {

class ThreadPool;

namespace cpu {
struct Isa;
}

struct CpuOptions {
  int threads = 0;                  ///< 0: the cores that the process may use
  std::string isa = "auto";         ///< auto, avx512, avx2 or portable
  std::string numa = "off";         ///< auto, off, distribute or node:N
  std::string cpu_pinning = "off";  ///< auto, off or on
};

/// The processor: one thread pool for the process, kernels chosen at start-up by what the processor has. Not final:
/// tests emulate another platform by deriving from it.
///
/// Where its workers are pinned and leave cores free, it moves all other threads that the process has to those.
class CpuPlatform : public Platform {
 public:
  /// Throws StartupError for an instruction set that is unknown or that the processor lacks, and for a placement that
  /// the machine does not have.
  explicit CpuPlatform(const CpuOptions& options = {});
  ~CpuPlatform() override;

  [[nodiscard]] std::string_view name() const override { return "cpu"; }
  [[nodiscard]] std::string description() const override;
  [[nodiscard]] std::string numerics() const override;
  Buffer allocate(std::size_t bytes) override;
  Buffer upload(const void* from, std::size_t bytes) override;
  std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override;
  [[nodiscard]] std::size_t available_memory() const override;
  /// The queue refers to the platform's threads and must not outlive it.
  std::unique_ptr<Queue> create_queue() override;
  std::unique_ptr<ThreadPlacement> place_calling_thread() override;
  PackedWeight pack(const WeightSource& source, const PackScheme& scheme, const Shard& shard) override;
  [[nodiscard]] std::string packed_format() const override;
  [[nodiscard]] PackedImage image(const PackedWeight& weight) const override;
  PackedWeight restore(const PackedImage& image) override;
  [[nodiscard]] DType default_compute_dtype() const override;
  [[nodiscard]] bool supports_compute_dtype(DType dtype) const override;
  [[nodiscard]] bool supports_stochastic_rounding() const override { return true; }
  [[nodiscard]] int preferred_prefill_tile() const override;
  [[nodiscard]] int row_tile() const override;

 private:
  std::unique_ptr<const cpu::Isa> isa_;
  std::vector<int> memory_nodes_;  ///< over which caches are spread; empty: as the system likes
  bool pinned_ = false;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace krait
