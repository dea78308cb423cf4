#pragma once

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/operations/norm_args.h"

namespace krait::cuda {

/// AddRmsNormArgs on the device. A block a row: reads the row twice (the second time from L2), 8 to 16 bytes an
/// element; bound by memory above some hundred rows, by latency below.
struct AddRmsNorm {
  Rows residual{};
  ConstRows add{};  ///< null: none, and `residual` is not written
  float add_scale = 1.0F;
  const float* weight = nullptr;  ///< null: ones
  float eps = 1e-6F;
  Rows out{};
  int tokens = 0;
  int hidden = 0;
};
void add_rms_norm(const AddRmsNorm& args, Stream stream);

/// GatedRmsNormArgs on the device. A block a row and group.
struct GatedRmsNorm {
  ConstRows y{};
  ConstRows z{};
  const float* weight = nullptr;  ///< null: only y * act(z)
  bool shared_weight = false;     ///< one weight [channels / groups] for all groups
  Activation activation = Activation::kSilu;
  int groups = 1;
  float eps = 1e-6F;
  GateOrder order = GateOrder::kGateFirst;
  Rows out{};
  int tokens = 0;
  int channels = 0;
};
void gated_rms_norm(const GatedRmsNorm& args, Stream stream);

}  // namespace krait::cuda
