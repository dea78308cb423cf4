#include "engine/serving_model.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/disk/disk_tier.h"
#include "engine/model_identity.h"
#include "engine/model_plan.h"
#include "engine/packed_weights/packed_weight_cache.h"
#include "kernels/thread_pool.h"
#include "models/config/config_reader.h"
#include "models/weights/quantization_config.h"
#include "models/weights/read_ahead.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::unique_ptr<PackedWeightCache> open_packed_weights(const LoadOptions& options, const ModelPlan& plan,
                                                       const Checkpoint& checkpoint) {
  if (options.packed_weights_dir.empty()) return nullptr;
  return std::make_unique<PackedWeightCache>(packed_weights_place(options, plan, checkpoint),
                                             PackedWeightsOptions{.threads = options.threads,
                                                                  .write_behind = options.write_packed_weights_behind,
                                                                  .on_note = options.on_note,
                                                                  .on_warning = options.on_warning},
                                             *plan.platform);
}

struct LoadedWeights {
  std::uint64_t model_hash = 0;  ///< ContextIdentity::model
  std::unique_ptr<PackedWeightCache> packed;
};

LoadedWeights load_weights(const LoadOptions& options, ModelPlan& plan) {
  const auto start = std::chrono::steady_clock::now();
  const auto quantization = read_quantization_config(ConfigReader::from_file(plan.model->config().file));
  if (quantization && !quantization->refusal.empty()) {
    throw StartupError(
        Error{.code = ErrorCode::kUnsupported, .message = quantization->refusal, .field = "quantization_config"});
  }
  const Checkpoint checkpoint(options.model_path);
  std::unique_ptr<PackedWeightCache> packed = open_packed_weights(options, plan, checkpoint);
  const bool is_packed = packed != nullptr && packed->mapped_bytes() > 0;
  ReadAhead ahead(is_packed ? std::vector<std::span<const std::byte>>{} : checkpoint.files());
  WeightLoader loader(checkpoint, *plan.platform, plan.summary.compute_dtype);
  if (packed != nullptr) loader.set_store(*packed);
  loader.set_quantization(options.quantization);
  if (quantization) {
    loader.set_scale_blocks(quantization->block_rows, quantization->block_columns);
    loader.set_stored_quantization(*quantization);
  }
  const std::size_t total = checkpoint.total_bytes();
  loader.on_progress([&](std::size_t done) {
    ahead.advance(done);
    if (options.on_progress) options.on_progress({.bytes_done = done, .bytes_total = total});
  });
  {
    // Weights are packed by who will stream them. Nothing in here starts a thread that stays.
    const auto placement = plan.platform->place_calling_thread();
    plan.model->load_weights(loader, *plan.platform, plan.summary.max_model_len);
    loader.finish();
  }
  ModelSummary& summary = plan.summary;
  summary.has_weights = true;
  summary.parameters = loader.parameters();
  summary.weight_bytes = loader.packed_bytes();
  summary.lookup_bytes = loader.lookup_bytes();
  summary.read_bytes = is_packed ? packed->mapped_bytes() : total;
  summary.reads_packed_weights = is_packed;
  if (packed != nullptr) summary.packed_weights_file = packed->path();
  summary.read_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::uint64_t model_hash = hash_model(options, plan, checkpoint);
  if (packed != nullptr) packed->save(is_unchanged(checkpoint));
  return {.model_hash = model_hash, .packed = std::move(packed)};
}

/// Mapped weights are page cache, which the system counts as free.
std::size_t memory_beside_weights(const ModelPlan& plan) {
  const std::size_t available = plan.platform->available_memory();
  return available - std::min(available, plan.summary.reads_packed_weights ? plan.summary.read_bytes : 0);
}

bool wants_shared_prefixes(const LoadOptions& options, const ModelRunner& runner) {
  const bool has_state = runner.cache_layout().slot_bytes > 0;
  return options.enable_prefix_caching && !(has_state && options.snapshots.mode == MambaCacheMode::kNone);
}

/// Throws StartupError where it can have no effect.
DType snapshot_dtype_of(const LoadOptions& options, const ModelPlan& plan) {
  if (!options.snapshot_dtype) return DType::kFloat32;
  const auto refuse = [](const std::string& why) {
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = "--mamba-snapshot-dtype has no effect: " + why,
                             .field = "mamba-snapshot-dtype"});
  };
  if (plan.runner->cache_layout().float_states.empty()) refuse("the model keeps no float32 states");
  if (!wants_shared_prefixes(options, *plan.runner)) {
    refuse("no prefixes are cached (--enable-prefix-caching, --mamba-cache-mode)");
  }
  return *options.snapshot_dtype;
}

std::shared_ptr<CachePools> make_pools(const LoadOptions& options, ModelPlan& plan) {
  const std::size_t budget = plan.summary.cache_budget_bytes;
  CacheLayout layout = plan.runner->cache_layout();
  layout.snapshot_dtype = snapshot_dtype_of(options, plan);
  auto pools = std::make_shared<CachePools>(*plan.platform, std::move(layout), budget);
  const std::size_t least = pools->bytes_for(1);
  if (least > budget) {
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = "--cache-memory gives " + std::to_string(budget) +
                                        " bytes, but one request of this model needs at least " +
                                        std::to_string(least) + " (its state and one page of every KV group)",
                             .field = "cache-memory"});
  }
  return pools;
}

/// The name of a backend that cannot do what the prefix index asks of it, or nothing.
std::string without_snapshots(const ModelRunner& runner) {
  for (std::size_t group = 0; group < runner.groups().size(); ++group) {
    for (const LayerBackend* backend : runner.get_attn_backends_for_group(group)) {
      if (!backend->capabilities().snapshots_inside_prefill) return std::string(backend->name());
    }
  }
  return {};
}

/// Even where prefixes are not shared among requests, the forks of one share theirs. Throws StartupError.
bool enables_prefix_index(const LoadOptions& options, const ModelRunner& runner) {
  const std::string backend = without_snapshots(runner);
  if (backend.empty()) return true;
  if (!wants_shared_prefixes(options, runner)) return false;
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                           .message = "backend '" + backend +
                                      "' cannot keep states inside a prompt, which prefix caching needs; give " +
                                      "--no-enable-prefix-caching or --mamba-cache-mode none",
                           .field = "enable-prefix-caching"});
}

/// Null without --cache-dir. Throws where it can have no effect.
std::unique_ptr<DiskTier> make_disk_tier(const LoadOptions& options, const EngineConfig& config,
                                         const CachePools& pools) {
  if (options.cache_dir.empty()) return nullptr;
  const auto refuse = [](const std::string& why) {
    throw StartupError(Error{
        .code = ErrorCode::kInvalidArgument, .message = "--cache-dir has no effect: " + why, .field = "cache-dir"});
  };
  if (!config.share_prefixes || pools.prefix_index() == nullptr)
    refuse("no prefixes are cached (--enable-prefix-caching, --mamba-cache-mode)");
  return std::make_unique<DiskTier>(
      DiskTierConfig{.folder = options.cache_dir, .max_bytes = options.cache_dir_bytes, .warn = options.on_warning},
      ContextIdentity{.model = config.model_hash, .formats = config.cache_formats_hash, .layout = pools.layout()});
}

}  // namespace

ServingModel::ServingModel() = default;
ServingModel::~ServingModel() = default;

std::unique_ptr<ServingModel> ServingModel::load(const LoadOptions& options) {
  // Asked before the platform is there, which may bind this thread.
  const bool spare_cores = options.threads > 0 && options.threads < usable_cores();
  ModelPlan plan = make_model_plan(options);
  LoadedWeights weights = load_weights(options, plan);
  plan_caches(options, memory_beside_weights(plan), plan);
  const std::shared_ptr<CachePools> pools = make_pools(options, plan);
  plan.runner->bind_pools(pools);
  if (enables_prefix_index(options, *plan.runner)) pools->enable_prefix_index();
  pools->populate_ahead(*plan.platform, spare_cores);
  const bool share_prefixes = wants_shared_prefixes(options, *plan.runner);
  if (options.configure_runner) options.configure_runner(*plan.runner);
  const std::uint64_t cache_formats_hash = hash_cache_formats(plan);

  std::unique_ptr<ServingModel> serving(new ServingModel());
  serving->summary_ = std::move(plan.summary);
  serving->platform_ = std::move(plan.platform);
  serving->model_ = std::move(plan.model);
  serving->packed_weights_ = std::move(weights.packed);
  const EngineConfig config{.max_num_seqs = options.max_num_seqs,
                            .max_num_batched_tokens = options.max_num_batched_tokens,
                            .max_queue = options.max_queue,
                            .max_model_len = serving->summary_.max_model_len,
                            .vocab_size = serving->summary_.vocab_size,
                            .prefill_tile = serving->platform_->preferred_prefill_tile(),
                            .row_tile = serving->platform_->row_tile(),
                            .swap_bytes = options.swap_bytes,
                            .target_itl_ms = options.target_itl_ms,
                            .share_prefixes = share_prefixes,
                            .snapshots = options.snapshots,
                            .model_hash = weights.model_hash,
                            .cache_formats_hash = cache_formats_hash};
  serving->engine_ = make_engine(config, pools, std::move(plan.runner), make_disk_tier(options, config, *pools));
  return serving;
}

}  // namespace krait
