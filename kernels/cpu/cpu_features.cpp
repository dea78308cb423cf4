#include "kernels/cpu/cpu_features.h"

#include "kernels/result.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace krait::cpu {
namespace {

#if defined(__x86_64__)
constexpr bool bit(unsigned value, int index) { return ((value >> index) & 1U) != 0; }

/// The register states that the operating system saves on a switch (XCR0).
unsigned saved_states() {
  unsigned low = 0;
  unsigned high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}
#endif

[[noreturn]] void refuse(std::string_view name, const std::string& why) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                           .message = "The instruction set '" + std::string(name) + "' cannot be used: " + why +
                                      " Valid ones are: auto, avx512, avx2, portable.",
                           .field = "cpu-isa"});
}

Isa avx512(const CpuFeatures& features) {
  Isa isa{.kernels = *avx512_kernels(), .title = "AVX-512"};
  if (features.avx512_bf16) {
    isa.kernels.gemm_pairs = avx512_gemm_pairs();
    isa.title = "AVX-512 BF16";
  }
  // No other title: it gives the same bits.
  if (features.avx512_vnni) isa.kernels.gemm_int8 = avx512_vnni_gemm_int8();
  return isa;
}

}  // namespace

CpuFeatures detect_cpu_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || !bit(c, 27)) return features;  // OSXSAVE
  const bool fma_f16c = bit(c, 12) && bit(c, 29) && bit(c, 28);
  const unsigned states = saved_states();
  constexpr unsigned kYmm = 0x6;
  constexpr unsigned kZmm = 0xe6;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return features;
  const unsigned subleaves = a;
  features.avx2 = fma_f16c && bit(b, 5) && (states & kYmm) == kYmm;
  features.avx512 = features.avx2 && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31) && (states & kZmm) == kZmm;
  features.avx512_vnni = features.avx512 && bit(c, 11);
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) {
    features.avx512_bf16 = features.avx512 && bit(a, 5);
  }
#endif
  return features;
}

Isa choose_isa(std::string_view name, const CpuFeatures& features) {
  const bool has_avx2 = features.avx2 && avx2_kernels() != nullptr;
  const bool has_avx512 = features.avx512 && avx512_kernels() != nullptr;
  if (name == "auto") name = has_avx512 ? "avx512" : has_avx2 ? "avx2" : "portable";
  if (name == "portable") return Isa{.kernels = *portable_kernels(), .title = "portable"};
  if (name == "avx2") {
    if (!has_avx2) refuse(name, "this processor lacks AVX2, FMA or F16C.");
    return Isa{.kernels = *avx2_kernels(), .title = "AVX2"};
  }
  if (name == "avx512") {
    if (!has_avx512) refuse(name, "this processor lacks AVX-512 (F, BW, DQ, VL).");
    return avx512(features);
  }
  refuse(name, "there is no such one.");
}

}  // namespace krait::cpu
