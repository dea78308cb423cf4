#include "engine/model_plan.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/device_choice.h"
#include "engine/model_identity.h"
#include "engine/packed_weights/packed_weight_cache.h"
#include "engine/serving_model.h"
#include "models/architectures/architecture_registry.h"
#include "models/backends/mamba_registry.h"
#include "models/backends/selective_state_update.h"
#include "models/config/config_reader.h"
#include "models/weights/checkpoint.h"
#include "models/weights/quantization_config.h"
#include "models/weights/shard_index.h"
#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// For models whose config states no bound of their own: recurrent ones.
constexpr int kUnboundedModelLen = 131072;

/// What the cache's size is told in: requests of so many tokens.
constexpr int kUsualTokens = 4096;

/// The checkpoint keeps weights as integers.
bool has_integer_weights(const LoadOptions& options) {
  const std::string file = (std::filesystem::path(options.model_path) / "config.json").string();
  const auto quantization = read_quantization_config(ConfigReader::from_file(file));
  return quantization && quantization->integers;
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
  if (dtype == DType::kInt8 && options.quantization == Quantization::kNone && !has_integer_weights(options)) {
    throw StartupError(
        Error{.code = ErrorCode::kInvalidArgument,
              .message = "--compute-dtype int8 needs quantised weights: give --quantization int8 or int4",
              .field = "compute-dtype"});
  }
  return dtype;
}

KernelLibrary attention_library_of(const LoadOptions& options) {
  const auto library = parse_kernel_library(options.attention_backend);
  if (library) return *library;
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument,
                           .message = "Unknown attention backend: '" + options.attention_backend +
                                      "'. Valid options are: " + std::string(kKernelLibraries),
                           .field = "attention-backend"});
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

std::string describe(const StateTensorSpec& tensor) {
  const bool conv = tensor.role == StateTensorSpec::Role::kConv;
  return std::string(conv ? "convolution " : "state ") + tensor.shape.to_string() + " " +
         std::string(dtype_name(tensor.dtype));
}

std::string describe(const MambaSpec& spec) {
  std::string text;
  for (const StateTensorSpec& tensor : spec.tensors) text += (text.empty() ? "" : ", ") + describe(tensor);
  return text;
}

std::string describe_kv(int heads, int head_dim, DType dtype) {
  return std::to_string(heads) + " KV heads of " + std::to_string(head_dim) + ", " + std::string(dtype_name(dtype));
}

std::string describe(const FullAttentionSpec& spec) { return describe_kv(spec.kv_heads, spec.head_dim, spec.dtype); }

std::string describe(const SlidingWindowSpec& spec) {
  return describe_kv(spec.kv_heads, spec.head_dim, spec.dtype) + ", the last " + std::to_string(spec.window) +
         " tokens";
}

std::string describe(const MlaSpec& spec) {
  return "latent of " + std::to_string(spec.latent_dim) + " and " + std::to_string(spec.rope_dim) + " rotated, " +
         std::string(dtype_name(spec.dtype));
}

std::vector<CacheGroupSummary> summarize_groups(const std::vector<CacheGroup>& groups) {
  std::vector<CacheGroupSummary> summaries;
  for (const CacheGroup& group : groups) {
    const std::size_t layers = group.layers.size();
    summaries.push_back({.kind = kind_of(group.spec),
                         .spec = std::visit([](const auto& spec) { return describe(spec); }, group.spec),
                         .backend = std::string(group.backend->name()),
                         .layers = static_cast<int>(layers),
                         .block_size = group.is_attention() ? group.block_size : 0,
                         .bytes_per_token = layers * bytes_per_token(group.spec),
                         .bytes_per_request = layers * bytes_per_request(group.spec)});
  }
  return summaries;
}

/// As people call the architecture.
std::string family_of(const std::string& architecture) {
  for (const Architecture& known : architectures()) {
    if (known.hf_name == architecture) return std::string(known.family);
  }
  return {};
}

void summarize(const LoadOptions& options, ModelPlan& plan, DType compute_dtype) {
  const ModelConfig& config = plan.model->config();
  ModelSummary& summary = plan.summary;
  const auto folder = std::filesystem::path(options.model_path).lexically_normal();
  summary.name = folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();
  summary.path = options.model_path;
  summary.architecture = config.architecture;
  summary.family = family_of(config.architecture);
  summary.platform = std::string(plan.platform->name()) + " (" + plan.platform->description() + ")";
  summary.compute_dtype = compute_dtype;
  summary.weight_quantization = options.quantization;
  summary.num_layers = config.num_layers;
  summary.layer_kinds = summarize_kinds(plan.runner->groups());
  summary.cache_groups = summarize_groups(plan.runner->groups());
  summary.vocab_size = config.vocab_size;
  summary.head_parameters = std::int64_t{config.vocab_size} * config.hidden_size;
  summary.lookup_parameters = config.tie_word_embeddings ? 0 : summary.head_parameters;
  summary.max_model_len = max_model_len_of(options, config);
  summary.eos_token_ids = config.eos_token_ids;
  summary.state_bytes_per_request = plan.runner->cache_layout().slot_bytes;
  for (const KvGroupLayout& group : plan.runner->cache_layout().kv_groups) {
    summary.kv_bytes_per_token += group.page_bytes / static_cast<std::size_t>(options.block_size);
  }
}

/// A flag works on the model at hand, or start-up fails with a sentence.
void refuse_flags_without_effect(const LoadOptions& options, const std::vector<CacheGroup>& groups) {
  const MambaConfig& mamba = options.mamba;
  std::vector<std::string> present;
  bool has_attention = false;
  for (const CacheGroup& group : groups) {
    has_attention = has_attention || group.is_attention();
    if (!group.is_attention()) present.push_back(kind_of(group.spec));
  }
  const auto has_type = [&](std::string_view type) {
    return std::find(present.begin(), present.end(), type) != present.end();
  };
  const auto refuse = [](const std::string& flag, const std::string& why) {
    throw StartupError(
        Error{.code = ErrorCode::kInvalidArgument, .message = "--" + flag + " has no effect: " + why, .field = flag});
  };
  for (const auto& [type, backend] : mamba.attention_backends) {
    static_cast<void>(value_or_throw(MambaRegistry::instance().type(type)));
    if (!has_type(type)) {
      refuse("mamba-attention-backend", "the model has no layers of mamba type '" + type + "'");
    }
  }
  if (!has_attention && attention_library_of(options) != KernelLibrary::kNative) {
    refuse("attention-backend", "the model has no attention layers");
  }
  if (!has_type(mamba_types::kMamba1) && !has_type(mamba_types::kMamba2) &&
      state_update_library(mamba) != KernelLibrary::kNative) {
    refuse("mamba-backend", "the model has no layers of mamba type 'mamba1' or 'mamba2'");
  }
  if (!present.empty()) return;
  if (mamba.ssm_cache_dtype) refuse("mamba-ssm-cache-dtype", "the model has no recurrent layers");
  if (mamba.conv_cache_dtype) refuse("mamba-cache-dtype", "the model has no recurrent layers");
}

/// Bytes that one request of `tokens` tokens needs.
std::size_t bytes_for(const CacheLayout& layout, std::int64_t tokens) {
  const auto pages = static_cast<std::size_t>((tokens + layout.block_size - 1) / layout.block_size);
  std::size_t bytes = layout.slot_bytes;
  for (const KvGroupLayout& group : layout.kv_groups) bytes += pages * group.page_bytes;
  return bytes;
}

CacheCapacity capacity_of(const CacheLayout& layout, std::size_t budget, int max_model_len) {
  CacheCapacity capacity;
  const auto requests = [&](std::int64_t tokens) {
    return static_cast<std::int64_t>(budget / std::max<std::size_t>(bytes_for(layout, tokens), 1));
  };
  capacity.requests = requests(1);
  capacity.requests_of_full_len = requests(max_model_len);
  capacity.usual_tokens = std::min(kUsualTokens, max_model_len);
  capacity.requests_of_usual_len = requests(capacity.usual_tokens);
  capacity.usual_request_bytes = bytes_for(layout, capacity.usual_tokens);
  std::size_t page_bytes = 0;
  for (const KvGroupLayout& group : layout.kv_groups) page_bytes += group.page_bytes;
  if (page_bytes == 0) return capacity;
  const std::size_t left = budget > layout.slot_bytes ? budget - layout.slot_bytes : 0;
  capacity.tokens = static_cast<std::int64_t>(left / page_bytes) * layout.block_size;
  return capacity;
}

/// Counts parameters and bytes: by the headers of the checkpoint where there is one, else by the config's dtype.
void plan_weights(const LoadOptions& options, ModelPlan& plan) {
  const std::string& folder = options.model_path;
  std::optional<Checkpoint> checkpoint;
  const auto quantization = read_quantization_config(ConfigReader::from_file(plan.model->config().file));
  // The headers of a checkpoint that cannot be read show other tensors than the model has.
  const bool readable = !quantization || quantization->refusal.empty();
  if (quantization) plan.summary.quantization = quantization->method + (readable ? "" : ", which is not read");
  if (readable && has_all_shards(folder)) checkpoint.emplace(folder);
  WeightLoader loader =
      checkpoint ? WeightLoader(*checkpoint) : WeightLoader(plan.model->config().dtype.value_or(DType::kFloat32));
  loader.set_quantization(options.quantization);
  if (quantization && readable) loader.set_stored_quantization(*quantization);
  // No positions: tables of angles would be the one thing that takes memory.
  plan.model->load_weights(loader, *plan.platform, 0);
  loader.finish();
  plan.summary.has_weights = has_all_shards(folder);
  plan.summary.parameters = loader.parameters();
  plan.summary.weight_bytes = loader.packed_bytes();
  plan.summary.lookup_bytes = loader.lookup_bytes();
  if (options.packed_weights_dir.empty() || !checkpoint) return;
  const PackedWeightsPlace place = packed_weights_place(options, plan, *checkpoint);
  plan.summary.packed_weights_file = place.path();
  const Status fault = PackedFile::peek(place.path(), place.identity);
  if (!fault.ok()) plan.summary.packed_weights_fault = fault.error().message;
}

}  // namespace

ModelPlan make_model_plan(const LoadOptions& options) {
  if (options.block_size < 1 || options.block_size > 1024) {
    throw StartupError("--block-size is " + std::to_string(options.block_size) + ". Valid: 1 to 1024");
  }
  ModelPlan plan;
  ChosenPlatform chosen = make_platform(options);
  plan.platform = std::move(chosen.platform);
  plan.summary.device_note = std::move(chosen.note);
  const DType compute_dtype = compute_dtype_of(options, *plan.platform);
  const LayerContext context{
      .platform = *plan.platform,
      .mamba = options.mamba,
      .parallel = {},
      .kv_cache_dtype =
          options.kv_cache_dtype.value_or(compute_dtype == DType::kFloat32 ? DType::kFloat32 : DType::kBFloat16),
      .auto_ssm_dtype = peek_model_config(options.model_path).ssm_state_dtype.value_or(DType::kFloat32),
      .attention_library = attention_library_of(options)};
  plan.model = make_model(options.model_path, context);
  plan.runner = std::make_unique<ModelRunner>(*plan.platform, *plan.model, options.mamba, options.block_size);
  if (options.enforce_eager) plan.runner->set_graph_use(GraphUse::kNever);
  refuse_flags_without_effect(options, plan.runner->groups());
  summarize(options, plan, compute_dtype);
  return plan;
}

PackedWeightsPlace packed_weights_place(const LoadOptions& options, const ModelPlan& plan,
                                        const Checkpoint& checkpoint) {
  return {.folder = options.packed_weights_dir,
          .file_name = packed_weights_file_name(options, plan),
          .identity = hash_packed_weights(options, plan, checkpoint)};
}

void plan_caches(const LoadOptions& options, std::size_t available, ModelPlan& plan) {
  ModelSummary& summary = plan.summary;
  const double share = options.cache_memory.share * static_cast<double>(available);
  summary.cache_budget_bytes = options.cache_memory.bytes.value_or(static_cast<std::size_t>(share));
  summary.cache_capacity = capacity_of(plan.runner->cache_layout(), summary.cache_budget_bytes, summary.max_model_len);
}

ModelSummary plan_model(const LoadOptions& options) {
  ModelPlan plan = make_model_plan(options);
  plan_weights(options, plan);
  const std::size_t available = plan.platform->available_memory();
  plan_caches(options, available - std::min(available, plan.summary.weight_bytes), plan);
  return std::move(plan.summary);
}

}  // namespace krait
