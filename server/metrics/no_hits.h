#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/engine_stats.h"
#include "engine/scheduler/snapshot_rules.h"

namespace krait::server {

/// Requests that must have asked the prefix cache in vain before anybody is told.
constexpr std::int64_t kQueriesBeforeWarning = 100;

/// What the prefix cache of a model was told to do.
struct PrefixSetup {
  SnapshotConfig snapshots{};
  bool has_state = false;  ///< the model has recurrent layers: pages without a snapshot are no hit
};

/// Why the prefix cache has never had anything, in a sentence with what to do about it, as far as counters can tell;
/// nullopt when there is nothing to say: fewer than kQueriesBeforeWarning requests, or a hit.
///
/// The likeliest reason first: prompts too short to hold a block, a cache_salt for each request, prompts that begin
/// alike but with no state kept near, entries that were let go of, prompts that share nothing.
[[nodiscard]] std::optional<std::string> explain_no_hits(const PrefixSetup& setup, const EngineStats& stats);

}  // namespace krait::server
