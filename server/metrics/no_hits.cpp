#include "server/metrics/no_hits.h"

namespace krait::server {
namespace {

/// "Most" is enough for a reason: a few requests of another kind do not change it.
bool most(std::int64_t part, std::int64_t whole) { return part * 10 >= whole * 9; }

std::string lost_words(const PrefixSetup& setup, const EngineStats& stats) {
  const std::string lost = "prompts do begin alike, but for " + std::to_string(stats.prefix_lost_tokens) +
                           " tokens that lay in KV pages no recurrent state was kept near: ";
  switch (setup.snapshots.mode) {
    case MambaCacheMode::kAll:
      return lost + "they share less than --mamba-block-size (" + std::to_string(setup.snapshots.mamba_block_size) +
             ") tokens, or those states were evicted; lower it, raise --cache-memory, or use --mamba-cache-mode auto";
    case MambaCacheMode::kNone:
      return lost + "--mamba-cache-mode none keeps none; use auto";
    case MambaCacheMode::kAuto:
      break;
  }
  if (stats.prefix_evicted_snapshots > 0) {
    return lost + std::to_string(stats.prefix_evicted_snapshots) +
           " states were evicted before they were asked for; raise --cache-memory";
  }
  return lost + "lower --snapshot-interval (" + std::to_string(setup.snapshots.interval) + ")";
}

std::string reason_of(const PrefixSetup& setup, const EngineStats& stats) {
  if (most(stats.prefix_short_queries, stats.prefix_queries)) {
    return "prompts are too short: only whole blocks of --block-size (" + std::to_string(setup.snapshots.block_size) +
           ") tokens are reused, and the last token of a prompt is always computed";
  }
  const std::int64_t queries = stats.prefix_queries - stats.prefix_short_queries;
  if (most(stats.prefix_new_salts, queries)) {
    return "nearly every request has a cache_salt of its own, and prefixes are shared among requests of one salt only; "
           "give one salt to all requests of a tenant";
  }
  if (setup.has_state && stats.prefix_lost_tokens > 0) return lost_words(setup, stats);
  const std::int64_t evicted = stats.prefix_evicted_blocks + stats.prefix_evicted_snapshots;
  if (evicted > 0) {
    return "either no two prompts begin with the same block of " + std::to_string(setup.snapshots.block_size) +
           " tokens, or what they share was evicted before it was asked for (" +
           std::to_string(stats.prefix_evicted_blocks) + " blocks and " +
           std::to_string(stats.prefix_evicted_snapshots) +
           " states were); put what is common to all prompts first, and raise --cache-memory";
  }
  return "no two prompts begin with the same block of " + std::to_string(setup.snapshots.block_size) +
         " tokens; put what is common to all prompts first (no date, name or id before it)";
}

}  // namespace

std::optional<std::string> explain_no_hits(const PrefixSetup& setup, const EngineStats& stats) {
  if (stats.prefix_hit_tokens > 0 || stats.prefix_queries < kQueriesBeforeWarning) return std::nullopt;
  return "the prefix cache was asked by " + std::to_string(stats.prefix_queries) + " requests (" +
         std::to_string(stats.prefix_queried_tokens) + " tokens) and never had anything: " + reason_of(setup, stats);
}

}  // namespace krait::server
