#pragma once

#include <vector>

#include "models/config/rope_config.h"

namespace krait {

/// The angle that each pair turns by from a position to the next, in radians: `rotary_dim / 2` values. With
/// d = rotary_dim and f[i] = theta^(-2i/d), i from 0:
/// - default: f[i]. linear: f[i] / factor. proportional: f[i] / factor for i < rotating_pairs, then 0.
/// - llama3, for wavelength l = 2 pi / f and L original positions: f if l < L / high, f / factor if l > L / low, else
///   (1 - s) f / factor + s f with s = (L / l - low) / (high - low).
/// - yarn (Peng et al., 2023): f / factor * r + f * (1 - r), r = clip((i - a) / (b - a), 0, 1), where a and b are
///   d ln(L / (2 pi beta)) / (2 ln theta) of beta_fast and beta_slow, rounded down and up if `truncate`, in [0, d - 1].
std::vector<double> rope_frequencies(const RopeConfig& config);

}  // namespace krait
