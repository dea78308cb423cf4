#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/packed_weight.h"

namespace krait {
class ThreadPool;
}

namespace krait::cpu {

/// What the CPU platform keeps behind a PackedWeight.
class CpuWeight final : public PackedWeight::Storage {
 public:
  CpuWeight(PanelWeight weight, Buffer panels, Buffer bias, DType compute_dtype)
      : weight_(weight), panels_(std::move(panels)), bias_(std::move(bias)), compute_dtype_(compute_dtype) {}
  [[nodiscard]] const PanelWeight& panels() const { return weight_; }
  /// The type that input rows are rounded to.
  [[nodiscard]] DType compute_dtype() const { return compute_dtype_; }
  [[nodiscard]] const Buffer& panel_memory() const { return panels_; }
  [[nodiscard]] const Buffer& bias_memory() const { return bias_; }  ///< without data: there is no bias

 private:
  PanelWeight weight_;
  Buffer panels_;
  Buffer bias_;
  DType compute_dtype_;
};

/// Packs the parts' shards into panels for products by `kernels`. Unquantised values that are all exact in bfloat16 are
/// kept so, others as float32. With an input shard only rank 0 keeps the bias, because the ranks' results are added.
/// Throws StartupError for a dtype, a group or a shard that cannot be packed.
PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard,
                         const KernelTable& kernels, ThreadPool& pool);

}  // namespace krait::cpu
