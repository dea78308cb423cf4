#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace krait {

/// What a preempted request held in the pools, moved out of them: put back, the request goes on where it stopped, bit
/// for bit, with nothing computed again.
struct MovedCache {
  int computed = 0;   ///< tokens that the state and the pages stand for
  std::string state;  ///< bytes; empty for a model without recurrent state
  /// By KV group and block; empty where a sliding window needs no page any more.
  std::vector<std::vector<std::string>> pages;

  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = state.size();
    for (const auto& group : pages) {
      for (const auto& page : group) sum += page.size();
    }
    return sum;
  }
};

}  // namespace krait
