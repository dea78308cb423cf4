#include "server/cli/server_options.h"

#include <spdlog/spdlog.h>

#include "server/cli/sizes.h"

namespace krait::server {
namespace {

/// Values were checked against their ranges when they were set, so the cast cannot lose anything.
int as_int(const OptionValues& values, std::string_view name) {
  return static_cast<int>(values.integer(name).value_or(0));
}

/// "auto" is nullopt.
std::optional<DType> as_dtype(const OptionValues& values, std::string_view name) {
  return parse_dtype(values.text(name).value_or("auto"));
}

Quantization as_quantization(const OptionValues& values) {
  const std::string name = values.text("quantization").value_or("none");
  for (const Quantization form : {Quantization::kInt8, Quantization::kInt4}) {
    if (name == quantization_name(form)) return form;
  }
  return Quantization::kNone;
}

MambaConfig make_mamba_config(const OptionValues& values) {
  MambaConfig config;
  config.backend = values.text("mamba-backend").value_or("native");
  config.enable_stochastic_rounding = values.flag("enable-mamba-cache-stochastic-rounding");
  config.stochastic_rounding_philox_rounds = as_int(values, "mamba-cache-philox-rounds");
  config.ssm_cache_dtype = as_dtype(values, "mamba-ssm-cache-dtype");
  config.conv_cache_dtype = as_dtype(values, "mamba-cache-dtype");
  for (const std::string& pair : values.list("mamba-attention-backend")) {
    const std::size_t equals = pair.find('=');
    config.attention_backends[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return config;
}

SnapshotConfig make_snapshot_config(const OptionValues& values) {
  const std::string mode = values.text("mamba-cache-mode").value_or("auto");
  SnapshotConfig config;
  config.mode = mode == "all" ? MambaCacheMode::kAll : mode == "none" ? MambaCacheMode::kNone : MambaCacheMode::kAuto;
  config.block_size = as_int(values, "block-size");
  config.interval = as_int(values, "snapshot-interval");
  config.mamba_block_size = as_int(values, "mamba-block-size");
  return config;
}

/// nullopt: off. A session is what the prefix cache holds of a context, so there must be one.
std::optional<SessionOptions> make_session_options(const OptionValues& values) {
  if (!values.flag("enable-sessions")) return std::nullopt;
  const auto contradicts = [](const std::string& other) {
    return StartupError(Error{.code = ErrorCode::kInvalidArgument,
                              .message = "--enable-sessions cannot be combined with " + other +
                                         ": sessions are kept and restored through the prefix cache",
                              .field = "enable-sessions"});
  };
  if (!values.flag("enable-prefix-caching")) throw contradicts("--no-enable-prefix-caching");
  if (values.text("mamba-cache-mode") == "none") throw contradicts("--mamba-cache-mode none");
  const std::string cache_dir = values.text("cache-dir").value_or("");
  return SessionOptions{.max_bytes = parse_byte_size(values.text("session-memory").value_or("")).value_or(0),
                        .directory = cache_dir.empty() ? "" : cache_dir + "/sessions"};
}

}  // namespace

ServerOptions make_server_options(const OptionValues& values) {
  ServerOptions options;
  options.host = values.text("host").value_or("");
  options.port = static_cast<std::uint16_t>(as_int(values, "port"));
  options.grpc_port = static_cast<std::uint16_t>(as_int(values, "grpc-port"));
  options.served_model_name = values.text("served-model-name").value_or("");
  options.api_key = values.text("api-key").value_or("");
  options.sessions = make_session_options(values);
  options.api_key_rate = as_int(values, "api-key-rate");
  if (options.api_key_rate > 0 && options.api_key.empty()) {
    throw StartupError(
        Error{.code = ErrorCode::kInvalidArgument,
              .message = "--api-key-rate limits the requests of a key, and there is none: give --api-key",
              .field = "api-key-rate"});
  }
  options.drain_timeout =
      std::chrono::milliseconds(static_cast<std::int64_t>(values.number("drain-timeout").value_or(0) * 1000));
  options.max_body_size = parse_byte_size(values.text("max-body-size").value_or("")).value_or(0);
  options.vllm_metrics = values.flag("vllm-metrics");
  return options;
}

LoadOptions make_load_options(const OptionValues& values, const std::string& model_path) {
  LoadOptions options;
  options.model_path = model_path;
  options.device = parse_device(values.text("device").value_or("auto")).value_or(DeviceChoice{});
  options.threads = as_int(values, "threads");
  options.cpu_isa = values.text("cpu-isa").value_or("auto");
  options.numa = values.text("numa").value_or("auto");
  options.cpu_pinning = values.text("cpu-pinning").value_or("auto");
  options.compute_dtype = as_dtype(values, "compute-dtype");
  options.quantization = as_quantization(values);
  options.packed_weights_dir = values.text("packed-weights-dir").value_or("");
  options.on_note = [](const std::string& note) { spdlog::info("{}", note); };
  options.on_warning = [](const std::string& warning) { spdlog::warn("{}", warning); };
  options.kv_cache_dtype = as_dtype(values, "kv-cache-dtype");
  options.mamba = make_mamba_config(values);
  options.attention_backend = values.text("attention-backend").value_or("native");
  options.cache_memory = parse_cache_memory(values.text("cache-memory").value_or("")).value_or(CacheMemory{});
  options.cache_dir = values.text("cache-dir").value_or("");
  options.cache_dir_bytes = parse_byte_size(values.text("cache-dir-size").value_or("")).value_or(0);
  options.block_size = as_int(values, "block-size");
  options.enable_prefix_caching = values.flag("enable-prefix-caching");
  options.snapshots = make_snapshot_config(values);
  options.snapshot_dtype = as_dtype(values, "mamba-snapshot-dtype");
  options.max_num_seqs = as_int(values, "max-num-seqs");
  options.max_num_batched_tokens = as_int(values, "max-num-batched-tokens");
  options.swap_bytes = parse_byte_size(values.text("swap-memory").value_or("")).value_or(0);
  options.target_itl_ms = values.number("target-itl-ms").value_or(0);
  options.max_queue = as_int(values, "max-queue");
  options.enforce_eager = values.flag("enforce-eager");
  if (const auto limit = values.integer("max-model-len")) options.max_model_len = static_cast<int>(*limit);
  return options;
}

}  // namespace krait::server
