#include "server/chat/output/marker_gate.h"

#include <algorithm>
#include <utility>

namespace krait::server {

MarkerGate::MarkerGate(std::vector<std::string> markers) : markers_(std::move(markers)) {}

bool MarkerGate::may_become_a_marker() const {
  return std::any_of(markers_.begin(), markers_.end(),
                     [&](const std::string& marker) { return marker.starts_with(held_); });
}

int MarkerGate::feed(char byte, std::string& free) {
  held_ += byte;
  // Markers are short: trying again from every held byte is cheaper than an automaton.
  while (!held_.empty() && !may_become_a_marker()) {
    free += held_.front();
    held_.erase(held_.begin());
  }
  for (std::size_t i = 0; i < markers_.size() && !held_.empty(); ++i) {
    if (held_ != markers_[i]) continue;
    held_.clear();
    return static_cast<int>(i);
  }
  return -1;
}

void MarkerGate::finish(std::string& free) {
  free += held_;
  held_.clear();
}

}  // namespace krait::server
