#pragma once

#include "kernels/cpu/kernel_table.h"

namespace krait::cpu {

/// Chooses the experts of single tokens. Scores and weights are float32 operations in one fixed order, so that every
/// instruction set chooses alike. Not copied: borrows the kernels and the selection bias.
class Router {
 public:
  /// `options` that contradict each other or `classes` are a bug.
  Router(const KernelTable& kernels, const RouterOptions& options, Index classes);

  /// Floats of scratch that `route` needs.
  [[nodiscard]] Index scratch() const { return 2 * classes_ + groups_; }
  /// The `top_k` classes of one row of logits, best first, and their weights. A NaN is the worst score.
  void route(const float* logits, std::int32_t* chosen, float* weights, float* scratch) const;

 private:
  void weigh(float* weights) const;

  const KernelTable& kernels_;
  RouterScoring scoring_;
  const float* selection_bias_;
  Index classes_;
  Index groups_;
  Index top_groups_;
  Index top_k_;
  bool renormalize_;
  float renormalize_eps_;
  float weight_scale_;
};

}  // namespace krait::cpu
