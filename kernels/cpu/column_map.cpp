#include "kernels/cpu/column_map.h"

namespace krait::cpu {

ColumnMap::ColumnMap(const std::vector<WeightPart>& parts, bool gate_up) : parts_(parts), gate_up_(gate_up) {
  for (const WeightPart& part : parts) total_ += part.rows;
  if (gate_up && (parts.size() != 2 || parts[0].rows != parts[1].rows))
    refuse_weight("gate and up must be two equal parts.");
}

Index ColumnMap::panels() const {
  const auto panels_of = [](Index n) { return (n + kLanes - 1) / kLanes; };
  return gate_up_ ? 2 * panels_of(parts_[0].rows) : panels_of(total_);
}
std::pair<const WeightPart*, Index> ColumnMap::column(Index index) const {
  if (gate_up_) {
    const Index panel = index / kLanes;
    const WeightPart& part = parts_[static_cast<std::size_t>(panel % 2)];
    const Index row = panel / 2 * kLanes + index % kLanes;
    return row < part.rows ? std::pair{&part, row} : std::pair<const WeightPart*, Index>{nullptr, 0};
  }
  for (const WeightPart& part : parts_) {
    if (index < part.rows) return {&part, index};
    index -= part.rows;
  }
  return {nullptr, 0};
}

}  // namespace krait::cpu
