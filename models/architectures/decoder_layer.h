#pragma once

#include "models/layers/attention_layer_base.h"

namespace krait {

class RopeTables;
class WeightLoader;

/// One block of a decoder: reads and adds to the residual stream.
class DecoderLayer {
 public:
  virtual ~DecoderLayer() = default;
  /// Its layers that keep something of the past (none, one, or several).
  [[nodiscard]] virtual std::vector<AttentionLayerBase*> attention_layers() = 0;
  virtual void load(WeightLoader& loader, RopeTables& ropes) = 0;
  /// `hidden` [T, hidden] is the residual stream, changed in place.
  virtual void forward(ForwardContext& context, const TensorView& hidden) = 0;
};

}  // namespace krait
