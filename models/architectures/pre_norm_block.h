#pragma once

#include <memory>
#include <optional>

#include "models/architectures/decoder_layer.h"
#include "models/architectures/sublayer.h"
#include "models/layers/rms_norm.h"

namespace krait {

/// The block of most decoders: h += mixer(norm(h)); h += ffn(norm(h)). With a second norm after a half ("sandwich"),
/// h += post_norm(mixer(norm(h))).
class PreNormBlock final : public DecoderLayer {
 public:
  struct Half {
    RmsNorm norm;
    std::unique_ptr<Sublayer> sublayer;
    std::optional<RmsNorm> post_norm = std::nullopt;
  };
  PreNormBlock(Half mixer, Half feed_forward) : mixer_(std::move(mixer)), feed_forward_(std::move(feed_forward)) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override;
  void load(WeightLoader& loader, RopeTables& ropes) override;
  void forward(ForwardContext& context, const ResidualStream& stream) override;

 private:
  Half mixer_;
  Half feed_forward_;
};

}  // namespace krait
