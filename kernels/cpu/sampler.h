#pragma once

#include <span>

#include "kernels/cpu/kernel_table.h"
#include "kernels/sampling.h"

namespace krait::cpu {

/// One row of logits to a token, in the order that SampleRow states. `logits` is overwritten. Ties are broken by the
/// lower id everywhere: greedy, top-k and top-p.
SampledToken sample_row(const KernelTable& kernels, std::span<float> logits, const SampleRow& row);

/// Uniform in [0, 1) from Philox4x32-10 (Salmon et al., 2011) with `seed` as key and `position` as counter: 53 random
/// bits.
double uniform_draw(std::uint64_t seed, std::uint64_t position);

}  // namespace krait::cpu
