#pragma once

// The AVX-512 intrinsics that kernels/cpu/simd/avx512.h uses, from SIMDe under their native names.
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>
