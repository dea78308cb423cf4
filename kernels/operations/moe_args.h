#pragma once

#include <cstdint>
#include <span>

#include "kernels/operations/activation.h"
#include "kernels/packed_weight.h"
#include "kernels/tensor.h"

namespace krait {

enum class RouterScoring : std::uint8_t {
  kTopKThenSoftmax,  ///< softmax over the chosen logits (Granite, gpt-oss)
  kSoftmaxThenTopK,
  kSigmoid,
};

/// How the logits of one token become its experts and their weights.
struct RouterOptions {
  int top_k = 0;
  RouterScoring scoring = RouterScoring::kTopKThenSoftmax;
  TensorView selection_bias{};  ///< [classes] float32 or undefined: added to a score for the choice, not for the weight
  /// Above 1: classes form that many contiguous groups, a group's score is the sum of its two best biased scores, and
  /// only the `top_groups` best groups stay eligible (DeepSeek-V3, 2024, sec. 2.1.2).
  int groups = 1;
  int top_groups = 1;
  bool renormalize = false;      ///< changes nothing for kTopKThenSoftmax, whose weights have the sum 1
  float renormalize_eps = 0.0F;  ///< renormalised weights are divided by their sum plus this
  float weight_scale = 1.0F;     ///< multiplies every weight, after renormalising
};

/// Mixture of experts: out (+)= scale * sum over the chosen experts of weight * down(act(x)), added in the order of
/// routing (best first; equal scores: lower expert first). A chosen class past the last expert contributes nothing.
struct MoeArgs {
  TensorView x{};       ///< [T, expert inputs]
  TensorView logits{};  ///< [T, classes] of the router, classes >= experts
  RouterOptions router{};
  std::span<const PackedWeight> up{};    ///< one an expert: gate_up packed, or up alone when not `gated`
  std::span<const PackedWeight> down{};  ///< one an expert
  Activation activation = Activation::kSilu;
  bool gated = true;
  float limit = 0.0F;  ///< of kSwigluClamp
  float scale = 1.0F;
  bool accumulate = false;
  TensorView out{};  ///< [T, expert outputs]
};

}  // namespace krait
