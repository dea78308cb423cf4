#pragma once

#include <cstddef>
#include <cstdint>

namespace krait {

/// Counters and gauges; a copy taken under a lock. Counters never fall.
struct EngineStats {
  int requests_running = 0;
  int requests_waiting = 0;
  std::int64_t preemptions_total = 0;
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
  std::int64_t state_slots_used = 0;
  std::int64_t kv_pages_used = 0;
};

}  // namespace krait
