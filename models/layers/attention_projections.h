#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/config/model_config.h"
#include "models/layers/forward_context.h"
#include "models/layers/layer_context.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/rms_norm.h"

namespace krait {

class WeightLoader;

/// RMSNorm of q and k after their projection.
enum class QkNorm : std::uint8_t {
  kNone,
  kPerHead,    ///< one weight [head_dim] for all heads
  kEachHead,   ///< a weight for each head, one tensor [heads, head_dim] (PLaMo 2)
  kFullWidth,  ///< over the whole projection, before the split into heads (OLMo)
};

/// A sigmoid gate on the heads' output, before the output projection.
enum class OutputGate : std::uint8_t {
  kNone,
  kElementwise,  ///< q_proj is twice as wide: per head [q | gate] (Qwen3-Next)
  kPerHead,      ///< one gate a head, of its own projection of the layer's input (LFM3)
};

/// An attention layer's dimensions and switches, of the whole layer.
struct AttentionConfig {
  int hidden_size = 0;  ///< outputs of the output projection
  int input_size = 0;   ///< inputs of q, k and v; 0: hidden_size
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 1.0F;      ///< of q k^T
  int sliding_window = 0;  ///< 0: full attention
  bool bias = false;       ///< of q, k and v
  bool output_bias = false;
  std::optional<RopeConfig> rope;  ///< nullopt: no position embedding
  QkNorm qk_norm = QkNorm::kNone;
  RmsNorm::Weight qk_norm_weight = RmsNorm::Weight::kPlain;
  float qk_norm_eps = 1e-6F;
  OutputGate output_gate = OutputGate::kNone;
  float key_multiplier = 1.0F;   ///< of k with its bias, before the rotation
  float logits_soft_cap = 0.0F;  ///< of scale q k^T; 0: none
  bool sinks = false;            ///< a learned logit a head that only adds to the softmax's sum: `<layer>.sinks`

  /// Tensor prefixes inside the layer.
  struct Names {
    std::string qkv{};  ///< one tensor [q | k | v]; empty: three
    std::string q = "q_proj";
    std::string k = "k_proj";
    std::string v = "v_proj";
    std::string o = "o_proj";
    std::string q_norm = "q_norm";  ///< with QkNorm::kEachHead the whole tensor name
    std::string k_norm = "k_norm";
    std::string gate = "gate_proj";  ///< with OutputGate::kPerHead
  };
  Names names{};
};

/// The weights of an attention layer. Several layers may share one (Zamba).
class AttentionProjections {
 public:
  /// `name` prefixes the tensors. Throws StartupError when kv_heads does not divide heads.
  AttentionProjections(std::string name, const AttentionConfig& config, const LayerContext& context);

  [[nodiscard]] const AttentionConfig& config() const { return config_; }
  [[nodiscard]] int heads() const { return heads_; }        ///< on this rank
  [[nodiscard]] int kv_heads() const { return kv_heads_; }  ///< on this rank

  /// q, k, v and gate in the columns of one matrix; without an elementwise gate the last is undefined.
  struct Qkv {
    TensorView all;
    TensorView q;
    TensorView k;
    TensorView v;
    TensorView gate;
  };

  /// Loads once, whoever asks first.
  void load(WeightLoader& loader);
  /// q, k and v before norms over heads and rotation. The memory is the workspace's.
  Qkv project(ForwardContext& context, const TensorView& x) const;
  /// What lies between the projections and the softmax and is not the backend's: multiplier, and norms whose weight is
  /// not the same for all heads.
  void finish_qkv(ForwardContext& context, const Qkv& qkv) const;
  /// Gates `heads` (changed in place) and projects them into `output`; `x` is the layer's input.
  void project_output(ForwardContext& context, const TensorView& x, const Qkv& qkv, const TensorView& heads,
                      const LayerOutput& output) const;

  /// [head_dim] float32, undefined where there is no per-head norm.
  [[nodiscard]] TensorView q_norm() const;
  [[nodiscard]] TensorView k_norm() const;
  [[nodiscard]] const TensorView& sinks() const { return sinks_.view(); }

 private:
  std::string name_;
  AttentionConfig config_;
  bool loaded_ = false;
  int heads_;
  int kv_heads_;
  Linear qkv_proj_;
  Linear o_proj_;
  std::optional<Linear> head_gate_;
  std::optional<RmsNorm> q_norm_;
  std::optional<RmsNorm> k_norm_;
  Tensor q_norm_heads_;  ///< [heads, head_dim], with QkNorm::kEachHead
  Tensor k_norm_heads_;  ///< [kv_heads, head_dim]
  Tensor sinks_;
};

}  // namespace krait
