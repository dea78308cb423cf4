#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace krait {

/// `--mamba-cache-mode`: where snapshots of the recurrent state are taken (design, section 4).
enum class MambaCacheMode : std::uint8_t { kAuto, kAll, kNone };

struct SnapshotConfig {
  MambaCacheMode mode = MambaCacheMode::kAuto;
  int block_size = 16;         ///< tokens a page; every snapshot lies at a multiple of it
  int interval = 2048;         ///< tokens between the snapshots of a long prefill (`auto`); 0: none
  int mamba_block_size = 512;  ///< tokens between snapshots (`all`), a multiple of block_size
};

/// What is known of one request's tokens.
struct SnapshotFacts {
  std::span<const std::int32_t> cache_points;  ///< where others are likely to leave this prompt, in tokens
  int num_tokens = 0;                          ///< of the history
  int path_tokens = 0;                         ///< where it left what others had computed; 0: nowhere
  int fork_tokens = 0;                         ///< of the prompt that its siblings wait for; 0: it has none
};

/// The positions in (begin, end] of a prefill at which the state is kept, ascending. The one place that decides it:
/// scheduler, cache and runner all go by this list.
std::vector<int> snapshot_positions(const SnapshotConfig& config, const SnapshotFacts& facts, int begin, int end);

}  // namespace krait
