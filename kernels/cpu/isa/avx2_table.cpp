// Compiled for AVX2: nothing inline from elsewhere may be used here, or the linker could choose this copy for every
// processor.
#include "kernels/cpu/simd/avx2.h"

#include "kernels/cpu/isa/make_table.h"

namespace krait::cpu {

const KernelTable* avx2_kernels() {
  static const KernelTable table = make_table<VecAvx2>("avx2");
  return &table;
}

}  // namespace krait::cpu
