#pragma once

#include <cstddef>
#include <cstdint>

namespace krait {

/// Counters and gauges; a copy taken under a lock. Counters never fall.
struct EngineStats {
  int requests_running = 0;
  int requests_waiting = 0;
  std::int64_t preemptions_total = 0;
  std::int64_t preemptions_moved = 0;    ///< of those, with what they held moved out and not computed again
  std::size_t swap_bytes_used = 0;       ///< that preempted requests hold outside the caches
  std::int64_t prompt_tokens_total = 0;  ///< tokens of prompts, counted once a request
  std::int64_t generation_tokens_total = 0;
  std::int64_t computed_tokens_total = 0;  ///< tokens that went through the model, recomputed ones included
  std::int64_t steps_total = 0;
  std::int64_t mixed_steps_total = 0;  ///< steps with decodes and prefill pieces together
  std::int64_t requests_finished_stop = 0;
  std::int64_t requests_finished_length = 0;
  std::int64_t requests_finished_abort = 0;
  std::int64_t requests_finished_error = 0;
  std::size_t cache_bytes_used = 0;
  std::size_t cache_bytes_total = 0;
  std::size_t cache_bytes_cached = 0;     ///< of those used: held by the prefix index alone
  std::int64_t prefix_queries = 0;        ///< requests that asked the prefix index
  std::int64_t prefix_short_queries = 0;  ///< of them: too short for any block to be reused
  std::int64_t prefix_new_salts = 0;      ///< of the others: nothing was listed under their salt
  std::int64_t prefix_queried_tokens = 0;
  std::int64_t prefix_hit_tokens = 0;
  std::int64_t prefix_lost_tokens = 0;  ///< lay in pages, but no snapshot of the recurrent state was near
  std::int64_t prefix_snapshots = 0;
  std::int64_t prefix_blocks = 0;
  std::int64_t prefix_evicted_blocks = 0;
  std::int64_t prefix_evicted_snapshots = 0;
  std::uint64_t disk_bytes = 0;      ///< of the cache directory's files, as all that follow
  std::int64_t disk_entries = 0;     ///< on disk, or about to be
  std::int64_t disk_hit_tokens = 0;  ///< brought back for requests
  std::int64_t disk_entries_written = 0;
  std::int64_t disk_entries_read = 0;
  std::int64_t disk_entries_skipped = 0;  ///< not written: the queue or the disk was full
  std::int64_t disk_entries_evicted = 0;
  std::int64_t disk_entries_damaged = 0;  ///< deleted
  std::int64_t state_slots_used = 0;      ///< by requests
  std::int64_t kv_pages_used = 0;         ///< by requests, shared ones once
};

}  // namespace krait
