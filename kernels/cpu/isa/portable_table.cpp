#include "kernels/cpu/isa/make_table.h"
#include "kernels/cpu/simd/portable.h"

namespace krait::cpu {

const KernelTable* portable_kernels() {
  static const KernelTable table = make_table<VecPortable>("portable");
  return &table;
}

}  // namespace krait::cpu
