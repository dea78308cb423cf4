#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/architectures/decoder_layer.h"
#include "models/layers/linear.h"
#include "models/layers/rms_norm.h"
#include "models/model.h"

namespace krait {

/// Embedding → decoder layers → final norm → logits: the frame of most families. A family gives the names, the
/// multipliers and its layers; one that does not fit derives from Model itself.
class CausalLm final : public Model {
 public:
  struct Frame {
    std::string embedding;        ///< tensor prefix of `.weight`
    std::string old_embedding{};  ///< an older spelling, read where a file has only that one; empty: none
    std::string final_norm;
    std::string lm_head;  ///< not read when the embeddings are tied
    float norm_eps = 1e-6F;
    RmsNorm::Weight norm_weight = RmsNorm::Weight::kPlain;
    float embedding_multiplier = 1.0F;
    float logits_multiplier = 1.0F;
    float logits_soft_cap = 0.0F;  ///< cap * tanh(logits / cap); 0: none
    bool keep_embedding = false;   ///< ResidualStream::embedding
    int carry_width = 0;           ///< columns of ResidualStream::carry
    std::vector<std::string>
        ignored{};  ///< tensors of the checkpoint that a formula gives, or that serving has no use for
  };

  CausalLm(ModelConfig config, Frame frame, std::vector<std::unique_ptr<DecoderLayer>> layers,
           const LayerContext& context);

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override;
  void load_weights(WeightLoader& loader, Platform& platform, int max_positions) override;
  void forward(ForwardContext& context, std::span<const std::int32_t> ids, const TensorView& hidden) override;
  void compute_logits(ForwardContext& context, const TensorView& hidden, const TensorView& logits) override;

 private:
  [[nodiscard]] Linear make_lm_head(const std::string& embedding) const;

  Frame frame_;
  ParallelContext parallel_;
  std::vector<std::unique_ptr<DecoderLayer>> layers_;
  Tensor embedding_;
  PackedWeight quantized_embedding_;  ///< instead, where weights are quantised; the head's if they are tied
  RmsNorm final_norm_;
  Linear lm_head_;
};

}  // namespace krait
