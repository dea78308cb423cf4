#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/cache/context_image.h"
#include "engine/engine_stats.h"
#include "engine/request/engine_request.h"
#include "engine/request/token_stream.h"
#include "engine/scheduler/snapshot_rules.h"
#include "kernels/result.h"

namespace krait {

struct EngineConfig {
  int max_num_seqs = 64;              ///< requests that run at once
  int max_num_batched_tokens = 2048;  ///< token budget of a step
  int max_queue = 1024;               ///< waiting requests; one more is kResourceExhausted
  int max_model_len = 4096;           ///< prompt and answer together
  int vocab_size = 0;                 ///< token ids of prompts are checked against it; 0: not
  int prefill_tile = 16;         ///< prefill pieces that do not end a prompt are multiples of this where they can be
  int row_tile = 4;              ///< rows of a step with decodes are cut at multiples of it
  std::size_t swap_bytes = 0;    ///< outside the caches, for what preempted requests held
  double target_itl_ms = 0;      ///< between two tokens of a stream while prompts are computed; 0: PrefillShare's rule
  bool share_prefixes = true;    ///< among all requests of a salt, if the pools list prefixes; else in fork groups only
  SnapshotConfig snapshots{};    ///< where states are kept, if the pools list prefixes
  std::uint64_t model_hash = 0;  ///< ContextIdentity::model
  std::uint64_t cache_formats_hash = 0;  ///< ContextIdentity::formats
};

/// The asynchronous engine: submit, stream, abort. All of it is thread-safe; inside, one thread runs the scheduler and
/// needs no locks.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Queues a request. Errors at once, before anything is queued: an empty prompt, prompt + max_tokens over
  /// max_model_len, a request that could never fit the caches (with the sizes), a full queue (kResourceExhausted), a
  /// draining engine (kUnavailable).
  virtual Result<std::shared_ptr<TokenStream>> submit(EngineRequest request) = 0;

  /// Ends a request; its stream gets a last event with `reason` (kAborted, or kStop when a stop string was found).
  /// Unknown ids are ignored: the request may have ended meanwhile.
  virtual void abort(const std::string& request_id, FinishReason reason) = 0;

  /// Refuses new requests, waits until the running ones end or `deadline` has passed, then aborts what is left.
  virtual void drain(std::chrono::milliseconds deadline) = 0;

  /// Copies what the caches hold of the longest usable prefix of `tokens` under `salt` (see
  /// engine/cache/context_transfer.h, also for the errors; kUnavailable from an engine that has ended). Waits for the
  /// step at hand; never call it on the engine's thread.
  virtual Result<ContextImage> export_context(const std::string& salt, std::vector<std::int32_t> tokens) = 0;
  /// Takes an image into the caches, from where the next request that begins with its tokens finds it. Waits and fails
  /// as above.
  virtual Status import_context(ContextImage image) = 0;
  /// What images of this engine are marked with.
  [[nodiscard]] virtual ContextIdentity context_identity() const = 0;

  /// False while loading, draining or after a fatal fault: exactly when `submit` would answer kUnavailable.
  [[nodiscard]] virtual bool ready() const = 0;
  [[nodiscard]] virtual EngineStats stats() const = 0;
  [[nodiscard]] virtual const EngineConfig& config() const = 0;
};

class CachePools;
class DiskTier;
class StepRunner;

/// Starts the engine's thread. `pools` is shared with the runner, which reads and writes the memory that the engine
/// hands out.
std::unique_ptr<Engine> make_engine(EngineConfig config, std::shared_ptr<CachePools> pools,
                                    std::unique_ptr<StepRunner> runner);
/// The same with a disk tier (null: none), which needs a prefix index: prefixes are written to it and come back from
/// it.
std::unique_ptr<Engine> make_engine(EngineConfig config, std::shared_ptr<CachePools> pools,
                                    std::unique_ptr<StepRunner> runner, std::unique_ptr<DiskTier> disk);

}  // namespace krait
