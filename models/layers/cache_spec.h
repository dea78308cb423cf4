#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/operations/state_args.h"
#include "kernels/tensor.h"
#include "models/backends/mamba_type.h"

namespace krait {

/// Keys and values of every token.
struct FullAttentionSpec {
  int kv_heads = 0;
  int head_dim = 0;
  DType dtype = DType::kFloat32;
  bool operator==(const FullAttentionSpec&) const = default;
};

/// Keys and values of the last `window` tokens.
struct SlidingWindowSpec {
  int kv_heads = 0;
  int head_dim = 0;
  int window = 0;
  DType dtype = DType::kFloat32;
  bool operator==(const SlidingWindowSpec&) const = default;
};

/// One compressed row of `latent_dim` + `rope_dim` elements a token, shared by all heads.
struct MlaSpec {
  int latent_dim = 0;
  int rope_dim = 0;
  DType dtype = DType::kFloat32;
  bool operator==(const MlaSpec&) const = default;
};

/// One tensor of a recurrent layer's state, for one request.
struct StateTensorSpec {
  enum class Role : std::uint8_t { kConv, kRecurrent };
  Role role = Role::kRecurrent;
  Shape shape;  ///< conv: [kernel - 1, channels], channel-last
  DType dtype = DType::kFloat32;
  bool operator==(const StateTensorSpec&) const = default;
};

/// A fixed-size state, one slot a request.
struct MambaSpec {
  MambaType type;
  std::vector<StateTensorSpec> tensors;
  bool operator==(const MambaSpec&) const = default;
};

using CacheSpec = std::variant<FullAttentionSpec, SlidingWindowSpec, MlaSpec, MambaSpec>;

/// Each layer's recurrent state starts on this boundary inside a slot, so that bulk copies and vector loads are
/// aligned.
constexpr std::size_t kStateAlignment = 128;

/// Bytes of KV that one token takes in one layer; 0 for a recurrent spec.
std::size_t bytes_per_token(const CacheSpec& spec);
/// Bytes of state that one request takes in one layer, alignment included; 0 for an attention spec.
std::size_t bytes_per_request(const CacheSpec& spec);
/// Byte offset of a state tensor inside its layer's part of a slot.
std::size_t state_tensor_offset(const MambaSpec& spec, std::size_t tensor);
/// A layer's state as an operation sees it that works on convolution tensor `tensor` of the spec: `state`, whose conv
/// is the spec's first convolution tensor, moved on to that one.
StateCacheView conv_tensor(const StateCacheView& state, const MambaSpec& spec, std::size_t tensor);
/// "full_attention", "sliding_window", "mla", or the mamba type's name.
std::string kind_of(const CacheSpec& spec);

}  // namespace krait
