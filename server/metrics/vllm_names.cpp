#include "server/metrics/vllm_names.h"

#include <array>
#include <string>
#include <string_view>

namespace krait::server {
namespace {

using prometheus::MetricFamily;

struct Alias {
  std::string_view name;  ///< ours, after "krait:"
  std::string_view vllm;  ///< theirs, after "vllm:"
};

/// Prometheus' own client for Python, which vLLM uses, ends the names of counters in "_total".
constexpr std::array kAliases = {
    Alias{"num_requests_running", "num_requests_running"},
    Alias{"num_requests_waiting", "num_requests_waiting"},
    Alias{"kv_cache_usage_perc", "kv_cache_usage_perc"},
    Alias{"kv_cache_usage_perc", "gpu_cache_usage_perc"},
    Alias{"prefix_cache_queries_total", "prefix_cache_queries_total"},
    Alias{"prefix_cache_queries_total", "gpu_prefix_cache_queries_total"},
    Alias{"prefix_cache_hits_total", "prefix_cache_hits_total"},
    Alias{"prefix_cache_hits_total", "gpu_prefix_cache_hits_total"},
    Alias{"num_preemptions_total", "num_preemptions_total"},
    Alias{"prompt_tokens_total", "prompt_tokens_total"},
    Alias{"generation_tokens_total", "generation_tokens_total"},
    Alias{"request_success_total", "request_success_total"},
    Alias{"time_to_first_token_seconds", "time_to_first_token_seconds"},
    Alias{"inter_token_latency_seconds", "inter_token_latency_seconds"},
    Alias{"inter_token_latency_seconds", "time_per_output_token_seconds"},
    Alias{"e2e_request_latency_seconds", "e2e_request_latency_seconds"},
    Alias{"request_queue_time_seconds", "request_queue_time_seconds"},
    Alias{"request_inference_time_seconds", "request_inference_time_seconds"},
    Alias{"request_prefill_time_seconds", "request_prefill_time_seconds"},
    Alias{"request_decode_time_seconds", "request_decode_time_seconds"},
    Alias{"request_prompt_tokens", "request_prompt_tokens"},
    Alias{"request_generation_tokens", "request_generation_tokens"},
};

constexpr std::string_view kOurs = "krait:";

MetricFamily renamed(const MetricFamily& family, std::string_view name) {
  MetricFamily copy = family;
  copy.name = "vllm:" + std::string(name);
  for (prometheus::ClientMetric& metric : copy.metric) {
    // Labels are written in this order; vLLM's are sorted.
    metric.label.insert(metric.label.begin(), {"engine", "0"});
  }
  return copy;
}

}  // namespace

std::vector<MetricFamily> vllm_aliases(const std::vector<MetricFamily>& families) {
  std::vector<MetricFamily> aliases;
  for (const MetricFamily& family : families) {
    if (!family.name.starts_with(kOurs)) continue;
    const std::string_view name = std::string_view(family.name).substr(kOurs.size());
    for (const Alias& alias : kAliases) {
      if (alias.name == name) aliases.push_back(renamed(family, alias.vllm));
    }
  }
  return aliases;
}

}  // namespace krait::server
