#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/operations.h"
#include "models/layers/parallel_context.h"

namespace krait {

class WeightLoader;

/// One output of a merged linear layer: q of q|k|v, gate of gate|up. Tensors are `<name>.weight` and, with a bias,
/// `<name>.bias`.
struct LinearPart {
  std::string name;
  std::int64_t out_features = 0;  ///< of the whole layer, all ranks together
  /// Output i is stored row rows[i] of `stored_rows` (interleaved heads, one tensor for several parts); empty: as
  /// stored.
  std::vector<std::int32_t> rows{};
  std::int64_t stored_rows = 0;
};

/// y = x W^T + b with an opaque packed weight. Column-parallel layers hold a share of the outputs of every part;
/// row-parallel ones a share of the inputs, and sum the ranks' results.
class Linear {
 public:
  enum class Parallel : std::uint8_t { kReplicated, kColumn, kRow };
  struct Options {
    bool bias = false;
    bool gate_up = false;  ///< the parts are gate and up (one part: both, one after the other)
    Parallel parallel = Parallel::kReplicated;
    std::optional<DType> compute_dtype{};  ///< nullopt: the model's
  };

  Linear(std::vector<LinearPart> parts, std::int64_t in_features, const ParallelContext& parallel, Options options);

  void load(WeightLoader& loader);
  void forward(Operations& ops, const TensorView& x, const TensorView& y, const Epilogue& epilogue = {}) const;
  [[nodiscard]] const PackedWeight& weight() const { return weight_; }
  /// Outputs on this rank.
  [[nodiscard]] std::int64_t out_features() const { return out_features_; }

 private:
  std::vector<LinearPart> parts_;
  std::int64_t in_features_;
  std::int64_t out_features_ = 0;
  ParallelContext parallel_;
  Options options_;
  PackedWeight weight_;
};

}  // namespace krait
