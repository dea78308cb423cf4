#include "tests/emulation/emulated_scalars.h"

#include "kernels/dtype.h"

__nv_bfloat16 __float2bfloat16_rn(float value) { return {krait::float_to_bfloat16(value)}; }

namespace krait::cuda::emulation {

float float16_value(std::uint16_t bits) { return float16_to_float(bits); }
std::uint16_t float16_bits(float value) { return float_to_float16(value); }

}  // namespace krait::cuda::emulation
