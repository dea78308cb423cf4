#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

#include "server/cli/capacity_words.h"
#include "server/cli/commands.h"
#include "server/cli/loading.h"
#include "server/cli/server_options.h"
#include "server/cli/signals.h"
#include "server/cli/sizes.h"
#include "server/grpc/grpc_server.h"
#include "server/http/http_server.h"
#include "server/metrics/metrics.h"
#include "server/metrics/prefix_watch.h"

namespace krait::server {
namespace {

/// Answers that are finished may still be on their way to slow clients for so long.
constexpr std::chrono::milliseconds kFlushLimit{2000};

/// What an operator wants to see before the first request: what runs, on which backends, and what it costs.
void log_summary(const ModelSummary& summary, const ServedModel& served) {
  spdlog::info("model {} ({}) from {}", served.name, summary.architecture, summary.path);
  for (const LayerKindSummary& kind : summary.layer_kinds) {
    spdlog::info("  {} layers of {} by {}", kind.layers, kind.kind, kind.backend);
  }
  if (!summary.device_note.empty()) spdlog::info("  device auto is the processor: {}", summary.device_note);
  spdlog::info("  platform {}, computes in {}, {:.1f} M parameters, context of {} tokens", summary.platform,
               dtype_name(summary.compute_dtype), static_cast<double>(summary.parameters) / 1e6, summary.max_model_len);
  const bool quantized = summary.weight_quantization != Quantization::kNone;
  spdlog::info("  memory: weights {}{}{}, state {} a request, KV {} a token", format_byte_size(summary.weight_bytes),
               quantized ? " in " : "", quantized ? quantization_name(summary.weight_quantization) : "",
               format_byte_size(summary.state_bytes_per_request), format_byte_size(summary.kv_bytes_per_token));
  spdlog::info("  cache {}", capacity_words(summary));
  spdlog::info("  read {}{} in {:.1f} s ({}/s)", format_byte_size(summary.read_bytes),
               summary.reads_packed_weights ? " of packed weights from " + summary.packed_weights_file : "",
               summary.read_seconds,
               format_byte_size(static_cast<std::size_t>(static_cast<double>(summary.read_bytes) /
                                                         std::max(summary.read_seconds, 1e-3))));
  if (served.tokenizer == nullptr) spdlog::info("  no tokenizer: token ids in and out");
  if (served.render_chat) {
    const OutputFormats& formats = served.formats;
    spdlog::info("  tool calls: {}; reasoning: {}",
                 formats.tool_calls == nullptr ? "none (the template knows none)" : formats.tool_calls->name(),
                 formats.reasoning == nullptr ? "none" : formats.reasoning->name());
  }
  if (const std::string words = served.defaults.describe(); !words.empty()) {
    spdlog::info("  requests that leave it open get generation_config.json's {}", words);
  }
}

/// Null without a limit.
std::shared_ptr<TokenBucket> make_rate_limit(const ServerOptions& options) {
  return options.api_key_rate == 0 ? nullptr : std::make_shared<TokenBucket>(options.api_key_rate);
}

/// The front ends, open before there is a model.
struct FrontEnds {
  FrontEnds(const ServerOptions& options, Service& service, Metrics& metrics)
      : rate_limit(make_rate_limit(options)),
        http(HttpOptions{.host = options.host,
                         .port = options.port,
                         .api_key = options.api_key,
                         .rate_limit = rate_limit,
                         .max_body_size = options.max_body_size},
             service, [&metrics] { return metrics.text(); }) {
    spdlog::info("HTTP listens on http://{}:{} and answers 503 until the model is loaded", options.host, http.port());
    if (options.grpc_port == 0) return;
    grpc = std::make_unique<GrpcServer>(
        GrpcOptions{
            .host = options.host, .port = options.grpc_port, .api_key = options.api_key, .rate_limit = rate_limit},
        service);
    spdlog::info("gRPC listens on {}:{}", options.host, grpc->port());
  }

  void set_serving(bool serving) {
    if (grpc != nullptr) grpc->set_serving(serving);
  }

  std::shared_ptr<TokenBucket> rate_limit;  ///< one for both: they share the key
  HttpServer http;
  std::unique_ptr<GrpcServer> grpc;
};

/// Order matters: new requests are refused first, then the engine finishes what runs, then the last bytes go out.
void drain(Service& service, LoadedModel& model, FrontEnds& front_ends, std::chrono::milliseconds deadline) {
  service.start_draining();
  front_ends.set_serving(false);
  model.serving->engine().drain(deadline);
  front_ends.http.wait_idle(kFlushLimit);
}

}  // namespace

int run_serve(const CommandInput& input) {
  SignalWatcher signals;
  const ServerOptions options = make_server_options(input.values);
  const std::string folder = resolve_model_or_throw(input);
  LoadOptions load_options = make_load_options(input.values, folder);
  load_options.on_progress = make_progress();
  load_options.write_packed_weights_behind = true;
  const std::string name = options.served_model_name.empty() ? input.model : options.served_model_name;

  // Destroyed bottom up: the front ends let go of their requests before the service and the engine end.
  Metrics metrics(options.vllm_metrics);
  PrefixWatch prefix_watch(metrics, [](const std::string& words) { spdlog::warn("{}", words); });
  LoadedModel model;
  Service service(2, &prefix_watch);
  if (options.sessions.has_value()) service.enable_sessions(*options.sessions);
  FrontEnds front_ends(options, service, metrics);
  model = load_model(input, load_options, name);
  const auto stats = [engine = model.served.engine] { return engine->stats(); };
  metrics.add_source({.model_name = name, .stats = stats});
  prefix_watch.watch(
      {.snapshots = load_options.snapshots, .has_state = model.serving->summary().state_bytes_per_request > 0}, stats);
  signals.serving();
  service.add_model(model.served);
  front_ends.set_serving(true);

  log_summary(model.serving->summary(), model.served);
  const auto took = std::chrono::steady_clock::now() - input.process_start;
  spdlog::info("ready in {} ms: http://{}:{}/v1", std::chrono::duration_cast<std::chrono::milliseconds>(took).count(),
               options.host, front_ends.http.port());

  const int signal = signals.wait();
  spdlog::info("signal {}: finishing what runs, for at most {} s; a second signal ends at once", signal,
               std::chrono::duration<double>(options.drain_timeout).count());
  drain(service, model, front_ends, options.drain_timeout);
  spdlog::info("stopped");
  return 0;
}

}  // namespace krait::server
