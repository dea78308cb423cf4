#include "server/metrics/metrics.h"

#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>

#include "server/metrics/engine_metrics.h"
#include "server/metrics/vllm_names.h"

namespace krait::server {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;
using HistogramFamily = prometheus::Family<prometheus::Histogram>;

const Buckets kSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
const Buckets kTokenSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5};
const Buckets kTokens = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

/// Families live as long as the registry, so a reference is enough.
HistogramFamily& family(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

/// Prometheus counts in seconds.
double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct Metrics::Impl {
  mutable std::mutex mutex;
  std::vector<MetricsSource> sources;
  prometheus::Registry registry;
  HistogramFamily& first_token =
      family(registry, "krait:time_to_first_token_seconds", "From arrival to the first token.");
  HistogramFamily& inter_token =
      family(registry, "krait:inter_token_latency_seconds", "Between two tokens of one request.");
  HistogramFamily& end_to_end = family(registry, "krait:e2e_request_latency_seconds", "From arrival to the end.");
  HistogramFamily& queue = family(registry, "krait:request_queue_time_seconds", "In the waiting queue.");
  HistogramFamily& prefill =
      family(registry, "krait:request_prefill_time_seconds", "From the first step to the first token.");
  HistogramFamily& decode = family(registry, "krait:request_decode_time_seconds", "From the first token to the last.");
  HistogramFamily& inference =
      family(registry, "krait:request_inference_time_seconds", "From the first step to the last token.");
  HistogramFamily& prompt_tokens = family(registry, "krait:request_prompt_tokens", "Tokens of the prompt.");
  HistogramFamily& generation_tokens =
      family(registry, "krait:request_generation_tokens", "Tokens generated for the request.");

  static void observe(HistogramFamily& histogram, const std::string& model, const Buckets& buckets, double value) {
    histogram.Add({{"model_name", model}}, buckets).Observe(value);
  }
};

Metrics::Metrics(bool vllm_names) : vllm_names_(vllm_names), impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::add_source(MetricsSource source) {
  std::lock_guard lock(impl_->mutex);
  impl_->sources.push_back(std::move(source));
}

std::string Metrics::text() const {
  std::vector<MetricsSource> sources;
  {
    std::lock_guard lock(impl_->mutex);
    sources = impl_->sources;
  }
  std::vector<prometheus::MetricFamily> families = collect_engine_metrics(sources);
  for (prometheus::MetricFamily& histogram : impl_->registry.Collect()) families.push_back(std::move(histogram));
  if (vllm_names_) {
    std::vector<prometheus::MetricFamily> aliases = vllm_aliases(families);
    std::move(aliases.begin(), aliases.end(), std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

void Metrics::on_first_token(const std::string& model, std::chrono::duration<double> since_arrival) {
  Impl::observe(impl_->first_token, model, kSeconds, since_arrival.count());
}

void Metrics::on_next_tokens(const std::string& model, std::chrono::duration<double> since_last, int tokens) {
  // A span of several tokens came at once: each is given its share of the wait.
  for (int i = 0; i < tokens; ++i) {
    Impl::observe(impl_->inter_token, model, kTokenSeconds, since_last.count() / tokens);
  }
}

void Metrics::on_choice_finished(const ChoiceRecord& record) {
  const std::string& model = record.model;
  const RequestStats& stats = record.stats;
  Impl::observe(impl_->end_to_end, model, kSeconds, seconds_between(record.arrival, record.finished));
  Impl::observe(impl_->prompt_tokens, model, kTokens, static_cast<double>(stats.prompt_tokens));
  Impl::observe(impl_->generation_tokens, model, kTokens, static_cast<double>(record.generated_tokens));
  // A request that never ran has no times inside the engine.
  if (record.generated_tokens == 0 || stats.first_scheduled < stats.arrival) return;
  Impl::observe(impl_->queue, model, kSeconds, seconds_between(stats.arrival, stats.first_scheduled));
  Impl::observe(impl_->prefill, model, kSeconds, seconds_between(stats.first_scheduled, stats.first_token));
  Impl::observe(impl_->inference, model, kSeconds, seconds_between(stats.first_scheduled, stats.last_token));
  Impl::observe(impl_->decode, model, kSeconds, seconds_between(stats.first_token, stats.last_token));
}

}  // namespace krait::server
