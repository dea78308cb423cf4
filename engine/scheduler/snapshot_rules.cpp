#include "engine/scheduler/snapshot_rules.h"

#include <algorithm>

namespace krait {

std::vector<int> snapshot_positions(const SnapshotConfig& config, const SnapshotFacts& facts, int begin, int end) {
  std::vector<int> positions;
  const auto add = [&](int tokens) {
    const int floored = tokens - tokens % config.block_size;
    if (floored > begin && floored <= end) positions.push_back(floored);
  };
  const auto add_multiples = [&](int interval) {
    if (interval <= 0) return;
    for (int at = (begin / interval + 1) * interval; at <= end; at += interval) add(at);
  };
  switch (config.mode) {
    case MambaCacheMode::kNone:
      break;
    case MambaCacheMode::kAll:
      add_multiples(config.mamba_block_size);
      break;
    case MambaCacheMode::kAuto:
      for (const std::int32_t point : facts.cache_points) add(point);
      add(facts.path_tokens);
      // One token is always left to compute, so a snapshot after the last one would serve no repetition.
      add(facts.num_tokens - 1);
      add_multiples(config.interval);
      break;
  }
  add(facts.fork_tokens - 1);
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

}  // namespace krait
