#pragma once

#include <vector>

#include "kernels/cpu/column_map.h"

namespace krait {
class ThreadPool;
}

namespace krait::cpu {

/// The smallest layout that keeps every value: bfloat16 (`pairs`: two k side by side) or float32.
WeightLayout float_layout(const std::vector<WeightPart>& parts, bool pairs);

/// From one panel to the next, with `k` inputs.
Index float_panel_bytes(WeightLayout layout, Index k);

/// The columns of `map` with `k` inputs as panels of `layout`, a panel a thread at a time.
Buffer pack_float_panels(const ColumnMap& map, WeightLayout layout, Index k, ThreadPool& pool);

}  // namespace krait::cpu
