#pragma once

#include <cstdint>

#include "kernels/cuda/attention/paged_kv.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// RopeView on the device.
struct Rope {
  ConstRows cos{};  ///< [positions, rotary_dim / 2]
  ConstRows sin{};
  int rotary_dim = 0;
  bool interleaved = false;
  int offset = 0;
};

/// WriteKvArgs on the device. A warp a token and head of q, of k, and of v; a lane keeps the channels that it rotates,
/// so that a head is read once for its norm and once, from L1, for the rest. Moves 8 bytes an element of q and k,
/// 4 of v, and what the cache keeps; 2 to 8 flops an element: bound by memory, by latency below some hundred tokens.
struct WriteKv {
  Rows q{};
  Rows k{};
  ConstRows v{};  ///< null: V is a part of K
  int tokens = 0;
  int heads = 0;
  const float* q_norm = nullptr;  ///< [head_dim] or null
  const float* k_norm = nullptr;
  float norm_eps = 1e-6F;
  Rope rope{};
  const std::int32_t* positions = nullptr;     ///< [tokens]; null without rotation
  const std::int64_t* slot_mapping = nullptr;  ///< [tokens]; -1 writes nothing
  PagedKv cache{};
};
void write_kv(const WriteKv& args, Stream stream);

}  // namespace krait::cuda
