#pragma once

#include "models/layers/attention_layer_base.h"

namespace krait {

class RopeTables;
class WeightLoader;

/// What the layers of one step hand on.
struct ResidualStream {
  TensorView hidden;     ///< [T, hidden], changed in place by every layer
  TensorView embedding;  ///< [T, hidden] as the first layer got it; undefined unless the frame keeps it
  TensorView carry;      ///< [T, carry width] of the frame: what one layer leaves for the next; undefined when 0
};

/// One block of a decoder: reads and adds to the residual stream.
class DecoderLayer {
 public:
  virtual ~DecoderLayer() = default;
  /// Its layers that keep something of the past (none, one, or several).
  [[nodiscard]] virtual std::vector<AttentionLayerBase*> attention_layers() = 0;
  virtual void load(WeightLoader& loader, RopeTables& ropes) = 0;
  virtual void forward(ForwardContext& context, const ResidualStream& stream) = 0;
};

}  // namespace krait
