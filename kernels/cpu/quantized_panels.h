#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/weight_parts.h"

namespace krait {
class ThreadPool;
}

namespace krait::cpu {

/// The form of panels with `k` inputs. Throws StartupError for a group that is no multiple of 32, or that an input
/// shard cuts.
QuantizedForm quantized_form(WeightLayout layout, Index k, int group_size, const Shard& shard);

/// Quantises the columns of `map`, a panel a thread at a time: no more is held in float32.
Buffer quantize_panels(const ColumnMap& map, WeightLayout layout, const QuantizedForm& form, Index k,
                       const KernelTable& kernels, ThreadPool& pool);

}  // namespace krait::cpu
