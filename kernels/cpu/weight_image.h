#pragma once

#include "kernels/packed_weight.h"

namespace krait::cpu {

/// Raise it whenever the bytes that `pack_weight` makes of the same weight change, in place or in value: files of
/// packed weights have it in their identity. A test knows the bytes of this version.
inline constexpr int kPanelVersion = 1;

/// A weight of `pack_weight` as bytes: its panels and, where it has one, its bias.
PackedImage image_of(const PackedWeight& weight);

/// The weight again, in the image's memory. Throws StartupError where form and blocks do not fit each other.
PackedWeight restore_weight(const PackedImage& image);

}  // namespace krait::cpu
