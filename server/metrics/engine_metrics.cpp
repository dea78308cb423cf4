#include "server/metrics/engine_metrics.h"

#include <array>
#include <utility>

namespace krait::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

/// One row a metric: adding one is adding a line.
struct EngineMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*read)(const EngineStats&);
  const char* label_value = nullptr;  ///< of a second label; rows of one name stand together
  const char* label = "finished_reason";
};

double as_double(std::int64_t value) { return static_cast<double>(value); }

/// By requests: what only the prefix cache holds is as good as free. 0 before there is a budget.
double cache_usage(const EngineStats& stats) {
  if (stats.cache_bytes_total == 0) return 0;
  const auto used = static_cast<double>(stats.cache_bytes_used - stats.cache_bytes_cached);
  return used / static_cast<double>(stats.cache_bytes_total);
}

constexpr const char* kTierBytes = "krait:cache_bytes";
constexpr const char* kTierBytesHelp = "Bytes in the caches, by tier: memory, and the cache directory's files.";
constexpr const char* kDiskEntries = "krait:disk_cache_entries_total";
constexpr const char* kDiskEntriesHelp =
    "Entries of the cache directory by what became of them: written, read, skipped (the queue or the disk was full), "
    "evicted, damaged (deleted).";
constexpr const char* kSuccess = "krait:request_success_total";
constexpr const char* kSuccessHelp = "Requests that ended, by reason.";

const std::array kEngineMetrics = {
    EngineMetric{"krait:num_requests_running", "Requests in the running batch.", MetricType::Gauge,
                 [](const EngineStats& s) { return as_double(s.requests_running); }},
    EngineMetric{"krait:num_requests_waiting", "Requests in the waiting queue.", MetricType::Gauge,
                 [](const EngineStats& s) { return as_double(s.requests_waiting); }},
    EngineMetric{"krait:kv_cache_usage_perc",
                 "Share of the cache budget that requests hold, 0 to 1 (KV pages and states).", MetricType::Gauge,
                 cache_usage},
    EngineMetric{"krait:state_slots_used", "Recurrent-state slots that requests hold.", MetricType::Gauge,
                 [](const EngineStats& s) { return as_double(s.state_slots_used); }},
    EngineMetric{"krait:kv_pages_used", "KV pages that requests hold.", MetricType::Gauge,
                 [](const EngineStats& s) { return as_double(s.kv_pages_used); }},
    EngineMetric{"krait:prefix_cache_queries_total", "Tokens of prompts that were looked for in the prefix cache.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.prefix_queried_tokens); }},
    EngineMetric{"krait:prefix_cache_hits_total", "Tokens of prompts that the prefix cache saved.", MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.prefix_hit_tokens); }},
    EngineMetric{"krait:prefix_cache_lost_total",
                 "Tokens whose KV pages were cached, but computed again for want of a state near them.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.prefix_lost_tokens); }},
    EngineMetric{"krait:prefix_cache_snapshots", "Recurrent states held by the prefix cache.", MetricType::Gauge,
                 [](const EngineStats& s) { return as_double(s.prefix_snapshots); }},
    EngineMetric{"krait:prefix_cache_blocks", "Blocks of tokens whose KV pages the prefix cache knows.",
                 MetricType::Gauge, [](const EngineStats& s) { return as_double(s.prefix_blocks); }},
    EngineMetric{"krait:prefix_cache_evicted_snapshots_total", "Recurrent states that the prefix cache let go of.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.prefix_evicted_snapshots); }},
    EngineMetric{"krait:prefix_cache_evicted_blocks_total", "Blocks of tokens that the prefix cache let go of.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.prefix_evicted_blocks); }},
    EngineMetric{"krait:prefix_cache_bytes", "Cache bytes that only the prefix cache holds, and can let go of.",
                 MetricType::Gauge, [](const EngineStats& s) { return static_cast<double>(s.cache_bytes_cached); }},
    EngineMetric{kTierBytes, kTierBytesHelp, MetricType::Gauge,
                 [](const EngineStats& s) { return static_cast<double>(s.cache_bytes_used); }, "memory", "tier"},
    EngineMetric{kTierBytes, kTierBytesHelp, MetricType::Gauge,
                 [](const EngineStats& s) { return static_cast<double>(s.disk_bytes); }, "disk", "tier"},
    EngineMetric{"krait:disk_cache_hits_total", "Tokens of prompts that came back from the cache directory.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.disk_hit_tokens); }},
    EngineMetric{kDiskEntries, kDiskEntriesHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.disk_entries_written); }, "written", "event"},
    EngineMetric{kDiskEntries, kDiskEntriesHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.disk_entries_read); }, "read", "event"},
    EngineMetric{kDiskEntries, kDiskEntriesHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.disk_entries_skipped); }, "skipped", "event"},
    EngineMetric{kDiskEntries, kDiskEntriesHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.disk_entries_evicted); }, "evicted", "event"},
    EngineMetric{kDiskEntries, kDiskEntriesHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.disk_entries_damaged); }, "damaged", "event"},
    EngineMetric{"krait:num_preemptions_total", "Requests that lost their memory and are computed again.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.preemptions_total); }},
    EngineMetric{"krait:num_preemptions_moved_total", "Of those, requests whose memory was moved out and back instead.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.preemptions_moved); }},
    EngineMetric{"krait:prompt_tokens_total", "Tokens of prompts, once a request.", MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.prompt_tokens_total); }},
    EngineMetric{"krait:generation_tokens_total", "Tokens generated.", MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.generation_tokens_total); }},
    EngineMetric{"krait:computed_tokens_total", "Tokens that went through the model, recomputed ones included.",
                 MetricType::Counter, [](const EngineStats& s) { return as_double(s.computed_tokens_total); }},
    EngineMetric{"krait:steps_total", "Steps of the engine.", MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.steps_total); }},
    EngineMetric{"krait:mixed_steps_total", "Steps with decodes and prefill pieces together.", MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.mixed_steps_total); }},
    EngineMetric{kSuccess, kSuccessHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.requests_finished_stop); }, "stop"},
    EngineMetric{kSuccess, kSuccessHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.requests_finished_length); }, "length"},
    EngineMetric{kSuccess, kSuccessHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.requests_finished_abort); }, "abort"},
    EngineMetric{kSuccess, kSuccessHelp, MetricType::Counter,
                 [](const EngineStats& s) { return as_double(s.requests_finished_error); }, "error"},
};

ClientMetric make_metric(const EngineMetric& row, const std::string& model, const EngineStats& stats) {
  ClientMetric metric;
  if (row.label_value != nullptr) metric.label.push_back({row.label, row.label_value});
  metric.label.push_back({"model_name", model});
  const double value = row.read(stats);
  if (row.type == MetricType::Gauge)
    metric.gauge.value = value;
  else
    metric.counter.value = value;
  return metric;
}

}  // namespace

std::vector<MetricFamily> collect_engine_metrics(const std::vector<MetricsSource>& sources) {
  std::vector<std::pair<std::string, EngineStats>> stats;
  for (const MetricsSource& source : sources) stats.emplace_back(source.model_name, source.stats());
  std::vector<MetricFamily> families;
  for (const EngineMetric& row : kEngineMetrics) {
    if (families.empty() || families.back().name != row.name) {
      MetricFamily family;
      family.name = row.name;
      family.help = row.help;
      family.type = row.type;
      families.push_back(std::move(family));
    }
    for (const auto& [model, values] : stats) families.back().metric.push_back(make_metric(row, model, values));
  }
  return families;
}

}  // namespace krait::server
