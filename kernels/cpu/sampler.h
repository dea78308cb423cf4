#pragma once

#include <span>

#include "kernels/cpu/kernel_table.h"
#include "kernels/sampling.h"

namespace krait::cpu {

/// One row of logits to a token, in the order that SampleRow states. `logits` is overwritten. Ties are broken by the
/// lower id everywhere: greedy, top-k and top-p.
SampledToken sample_row(const KernelTable& kernels, std::span<float> logits, const SampleRow& row);

}  // namespace krait::cpu
