#pragma once

#include <string>

#include "kernels/operations.h"
#include "models/weights/weight_loader.h"

namespace krait {

/// weight * x / sqrt(mean(x^2) + eps), row by row.
class RmsNorm {
 public:
  /// What the stored weight means.
  enum class Weight : std::uint8_t {
    kPlain,
    kZeroCentred,  ///< stored as w - 1 (Gemma, Qwen3-Next), or less another offset (PLaMo 2)
    kNone,         ///< there is none: ones
  };
  /// The weight is the tensor `<name>.weight` [size]. `offset` is what a zero-centred one is stored less of.
  RmsNorm(const std::string& name, std::int64_t size, float eps, Weight kind = Weight::kPlain, float offset = 1.0F)
      : tensor_(name + ".weight"), size_(size), eps_(eps), kind_(kind), offset_(offset) {}
  /// With a plain weight under a name of its own.
  static RmsNorm of_tensor(std::string tensor, std::int64_t size, float eps) {
    RmsNorm norm("", size, eps);
    norm.tensor_ = std::move(tensor);
    return norm;
  }

  void load(WeightLoader& loader) {
    if (kind_ == Weight::kNone) return;
    const float offset = kind_ == Weight::kZeroCentred ? offset_ : 0.0F;
    weight_ = offset == 0.0F ? loader.float32(tensor_, {size_})
                             : loader.transformed(tensor_, {size_}, [offset](float stored) { return stored + offset; });
  }

  void forward(Operations& ops, const TensorView& x, const TensorView& out) const {
    ops.add_rms_norm({.residual = x, .weight = weight_.view(), .eps = eps_, .out = out});
  }

  /// For operations that norm on their way (q and k of attention): [size] float32.
  [[nodiscard]] const TensorView& weight() const { return weight_.view(); }
  [[nodiscard]] float eps() const { return eps_; }

 private:
  std::string tensor_;
  std::int64_t size_;
  float eps_;
  Weight kind_;
  float offset_;
  Tensor weight_;
};

}  // namespace krait
