#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {

void CpuOperations::grouped_causal_conv1d(const GroupedCausalConv1dArgs& /*args*/) { KRAIT_BUG("not built yet"); }
void CpuOperations::selective_scan(const SelectiveScanArgs& /*args*/) { KRAIT_BUG("not built yet"); }
void CpuOperations::rg_lru(const RgLruArgs& /*args*/) { KRAIT_BUG("not built yet"); }

}  // namespace krait::cpu
