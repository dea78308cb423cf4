#pragma once

#include <string>

#include "kernels/operations.h"
#include "models/weights/weight_loader.h"

namespace krait {

/// weight * x / sqrt(mean(x^2) + eps), row by row.
class RmsNorm {
 public:
  RmsNorm(std::string name, std::int64_t size, float eps) : name_(std::move(name)), size_(size), eps_(eps) {}
  void load(WeightLoader& loader) { weight_ = loader.float32(name_ + ".weight", {size_}); }
  void forward(Operations& ops, const TensorView& x, const TensorView& out) const {
    AddRmsNormArgs args;
    args.residual = x;
    args.weight = weight_.view();
    args.eps = eps_;
    args.out = out;
    ops.add_rms_norm(args);
  }

 private:
  std::string name_;
  std::int64_t size_;
  float eps_;
  Tensor weight_;
};

}  // namespace krait
