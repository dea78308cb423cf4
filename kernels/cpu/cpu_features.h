#pragma once

#include <string>
#include <string_view>

#include "kernels/cpu/kernel_table.h"

namespace krait::cpu {

/// What the processor can run and the operating system saves.
struct CpuFeatures {
  bool avx2 = false;         ///< AVX2, FMA and F16C
  bool avx512 = false;       ///< AVX-512 F, BW, DQ and VL
  bool avx512_bf16 = false;  ///< and BF16
  bool avx512_vnni = false;  ///< and VNNI
};
CpuFeatures detect_cpu_features();

/// The kernels to run.
struct Isa {
  KernelTable kernels;
  std::string title;  ///< "AVX-512 BF16", for the start-up summary
};

/// `name` is auto (the best there is), avx512, avx2 or portable. Throws StartupError for another name, and for one that
/// this processor or this build lacks.
Isa choose_isa(std::string_view name, const CpuFeatures& features);

}  // namespace krait::cpu
