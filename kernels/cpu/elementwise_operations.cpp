#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {

void CpuOperations::gate(const GateArgs& /*args*/) { KRAIT_BUG("gate is not built yet"); }
void CpuOperations::scaled_add(const ScaledAddArgs& /*args*/) { KRAIT_BUG("scaled_add is not built yet"); }
void CpuOperations::activate(const ActivateArgs& /*args*/) { KRAIT_BUG("activate is not built yet"); }

}  // namespace krait::cpu
