#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace krait::server {

/// The families that vLLM has too, a second time under vLLM's names (those of its V1 engine, and the names that it
/// renamed and older dashboards still ask for) and with its labels: `model_name` and `engine`, which is always "0".
/// Histograms keep our buckets.
[[nodiscard]] std::vector<prometheus::MetricFamily> vllm_aliases(const std::vector<prometheus::MetricFamily>& families);

}  // namespace krait::server
