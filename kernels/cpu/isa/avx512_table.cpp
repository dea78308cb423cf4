// Compiled for AVX-512: nothing inline from elsewhere may be used here, or the linker could choose this copy for every
// processor.
#include "kernels/cpu/simd/avx512.h"

#include "kernels/cpu/isa/make_table.h"

namespace krait::cpu {

const KernelTable* avx512_kernels() {
  static const KernelTable table = make_table<VecAvx512>("avx512");
  return &table;
}

}  // namespace krait::cpu
