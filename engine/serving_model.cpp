#include "engine/serving_model.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/runner/model_runner.h"
#include "kernels/cpu/cpu_platform.h"
#include "models/backends/mamba_registry.h"
#include "models/model.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// For models whose config states no bound of their own: recurrent ones.
constexpr int kUnboundedModelLen = 131072;

std::unique_ptr<Platform> make_platform(const LoadOptions& options) {
  if (options.make_platform) return options.make_platform();
  return std::make_unique<CpuPlatform>(CpuOptions{.threads = options.threads, .isa = options.cpu_isa});
}

DType compute_dtype_of(const LoadOptions& options, const Platform& platform) {
  const DType dtype = options.compute_dtype.value_or(platform.default_compute_dtype());
  if (!platform.supports_compute_dtype(dtype)) {
    std::string valid;
    for (const DType candidate : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
      if (platform.supports_compute_dtype(candidate))
        valid += (valid.empty() ? "" : ", ") + std::string(dtype_name(candidate));
    }
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = "--compute-dtype " + std::string(dtype_name(dtype)) +
                                        " is not served by platform '" + std::string(platform.name()) +
                                        "' in this version. Valid: " + valid,
                             .field = "compute-dtype"});
  }
  return dtype;
}

int max_model_len_of(const LoadOptions& options, const ModelConfig& config) {
  const int bound = config.max_position_embeddings.value_or(kUnboundedModelLen);
  const int wanted = options.max_model_len.value_or(bound);
  if (wanted < 1 || (config.max_position_embeddings && wanted > bound)) {
    throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                             .message = "--max-model-len is " + std::to_string(wanted) + ", but the model's " +
                                        config.file + " allows 1 to " + std::to_string(bound) +
                                        " (`max_position_embeddings`)",
                             .field = "max-model-len"});
  }
  return wanted;
}

/// Everything that is known before the weights: the model built from its config, its groups and its runner.
struct Plan {
  std::unique_ptr<Platform> platform;
  std::unique_ptr<Model> model;
  std::unique_ptr<ModelRunner> runner;
  ModelSummary summary;
};

std::vector<LayerKindSummary> summarize_kinds(const std::vector<CacheGroup>& groups) {
  std::vector<LayerKindSummary> kinds;
  for (const CacheGroup& group : groups) {
    const LayerKindSummary kind{.kind = kind_of(group.spec),
                                .backend = std::string(group.backend->name()),
                                .layers = static_cast<int>(group.layers.size())};
    const auto same = std::find_if(kinds.begin(), kinds.end(), [&](const LayerKindSummary& other) {
      return other.kind == kind.kind && other.backend == kind.backend;
    });
    same == kinds.end() ? kinds.push_back(kind) : static_cast<void>(same->layers += kind.layers);
  }
  return kinds;
}

void summarize(const LoadOptions& options, Plan& plan, DType compute_dtype) {
  const ModelConfig& config = plan.model->config();
  ModelSummary& summary = plan.summary;
  const auto folder = std::filesystem::path(options.model_path).lexically_normal();
  summary.name = folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();
  summary.path = options.model_path;
  summary.architecture = config.architecture;
  summary.platform = std::string(plan.platform->name()) + " (" + plan.platform->description() + ")";
  summary.compute_dtype = compute_dtype;
  summary.num_layers = config.num_layers;
  summary.layer_kinds = summarize_kinds(plan.runner->groups());
  summary.vocab_size = config.vocab_size;
  summary.max_model_len = max_model_len_of(options, config);
  summary.eos_token_ids = config.eos_token_ids;
  summary.state_bytes_per_request = plan.runner->cache_layout().slot_bytes;
  for (const KvGroupLayout& group : plan.runner->cache_layout().kv_groups) {
    summary.kv_bytes_per_token += group.page_bytes / static_cast<std::size_t>(options.block_size);
  }
}

/// A flag works on the model at hand, or start-up fails with a sentence.
void refuse_flags_without_effect(const MambaConfig& mamba, const std::vector<CacheGroup>& groups) {
  std::vector<std::string> present;
  for (const CacheGroup& group : groups) {
    if (!group.is_attention()) present.push_back(kind_of(group.spec));
  }
  const auto refuse = [](const std::string& flag, const std::string& why) {
    throw StartupError(
        Error{.code = ErrorCode::kInvalidArgument, .message = "--" + flag + " has no effect: " + why, .field = flag});
  };
  for (const auto& [type, backend] : mamba.attention_backends) {
    static_cast<void>(value_or_throw(MambaRegistry::instance().type(type)));
    if (std::find(present.begin(), present.end(), type) == present.end()) {
      refuse("mamba-attention-backend", "the model has no layers of mamba type '" + type + "'");
    }
  }
  if (!present.empty()) return;
  if (mamba.ssm_cache_dtype) refuse("mamba-ssm-cache-dtype", "the model has no recurrent layers");
  if (mamba.conv_cache_dtype) refuse("mamba-cache-dtype", "the model has no recurrent layers");
}

Plan make_plan(const LoadOptions& options) {
  if (options.block_size < 1 || options.block_size > 1024) {
    throw StartupError("--block-size is " + std::to_string(options.block_size) + ". Valid: 1 to 1024");
  }
  Plan plan;
  plan.platform = make_platform(options);
  const DType compute_dtype = compute_dtype_of(options, *plan.platform);
  const LayerContext context{
      .platform = *plan.platform,
      .mamba = options.mamba,
      .parallel = {},
      .kv_cache_dtype = compute_dtype == DType::kFloat32 ? DType::kFloat32 : DType::kBFloat16,
      .auto_ssm_dtype = peek_model_config(options.model_path).ssm_state_dtype.value_or(DType::kFloat32)};
  plan.model = make_model(options.model_path, context);
  plan.runner = std::make_unique<ModelRunner>(*plan.platform, *plan.model, options.mamba, options.block_size);
  refuse_flags_without_effect(options.mamba, plan.runner->groups());
  summarize(options, plan, compute_dtype);
  return plan;
}

void load_weights(const LoadOptions& options, Plan& plan) {
  const Checkpoint checkpoint(options.model_path);
  WeightLoader loader(checkpoint, *plan.platform, plan.summary.compute_dtype);
  if (options.on_progress) {
    loader.on_progress(
        [&](std::size_t done) { options.on_progress({.bytes_done = done, .bytes_total = checkpoint.total_bytes()}); });
  }
  plan.model->load_weights(loader, *plan.platform, plan.summary.max_model_len);
  loader.finish();
  plan.summary.parameters = loader.parameters();
  plan.summary.weight_bytes = loader.packed_bytes();
}

std::size_t cache_budget(const LoadOptions& options, const Platform& platform) {
  if (options.cache_memory.bytes) return *options.cache_memory.bytes;
  return static_cast<std::size_t>(options.cache_memory.share * static_cast<double>(platform.available_memory()));
}

std::shared_ptr<CachePools> make_pools(Plan& plan, std::size_t budget) {
  auto pools = std::make_shared<CachePools>(*plan.platform, plan.runner->cache_layout(), budget);
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

}  // namespace

ServingModel::ServingModel() = default;
ServingModel::~ServingModel() = default;

std::unique_ptr<ServingModel> ServingModel::load(const LoadOptions& options) {
  Plan plan = make_plan(options);
  load_weights(options, plan);
  plan.summary.cache_budget_bytes = cache_budget(options, *plan.platform);
  const std::shared_ptr<CachePools> pools = make_pools(plan, plan.summary.cache_budget_bytes);
  plan.runner->bind_pools(pools);
  if (options.configure_runner) options.configure_runner(*plan.runner);

  std::unique_ptr<ServingModel> serving(new ServingModel());
  serving->summary_ = std::move(plan.summary);
  serving->platform_ = std::move(plan.platform);
  serving->model_ = std::move(plan.model);
  const EngineConfig config{.max_num_seqs = options.max_num_seqs,
                            .max_num_batched_tokens = options.max_num_batched_tokens,
                            .max_queue = options.max_queue,
                            .max_model_len = serving->summary_.max_model_len,
                            .vocab_size = serving->summary_.vocab_size,
                            .prefill_tile = serving->platform_->preferred_prefill_tile()};
  serving->engine_ = make_engine(config, pools, std::move(plan.runner));
  return serving;
}

ModelSummary plan_model(const LoadOptions& options) {
  Plan plan = make_plan(options);
  plan.summary.cache_budget_bytes = cache_budget(options, *plan.platform);
  const Checkpoint checkpoint(options.model_path);
  plan.summary.weight_bytes = checkpoint.total_bytes();
  for (const std::string& name : checkpoint.names()) plan.summary.parameters += checkpoint.shape(name).elements();
  return std::move(plan.summary);
}

}  // namespace krait
