#pragma once

#include "kernels/cpu/column_map.h"
#include "kernels/cpu/kernel_table.h"

namespace krait {
class ThreadPool;
}

namespace krait::cpu {

/// The form of panels with `k` inputs, with zero points for the groups or without. Throws StartupError for a group that
/// is no multiple of 32, or that an input shard cuts.
QuantizedForm quantized_form(WeightLayout layout, Index k, int group_size, bool has_zeros, const Shard& shard);

/// Quantises the columns of `map`, a panel a thread at a time: no more is held in float32.
Buffer quantize_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                       const KernelTable& kernels, ThreadPool& pool);

/// The columns of quantised parts as they are.
Buffer copy_quantized_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                             ThreadPool& pool);

}  // namespace krait::cpu
