#pragma once

#include <utility>
#include <vector>

#include "kernels/cpu/kernel_args.h"
#include "kernels/weight_parts.h"

namespace krait::cpu {

/// Where each panel's columns come from: `column(i)` is the part and row of panel column i, or none for padding.
class ColumnMap {
 public:
  ColumnMap(const std::vector<WeightPart>& parts, bool gate_up);
  [[nodiscard]] Index total() const { return total_; }
  [[nodiscard]] Index panels() const;
  [[nodiscard]] std::pair<const WeightPart*, Index> column(Index index) const;

 private:
  const std::vector<WeightPart>& parts_;
  bool gate_up_;
  Index total_ = 0;
};

}  // namespace krait::cpu
