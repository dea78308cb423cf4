#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "server/metrics/metrics.h"

namespace krait::server {

/// The engine's counters and gauges as they stand, one family a name, one metric a model.
std::vector<prometheus::MetricFamily> collect_engine_metrics(const std::vector<MetricsSource>& sources);

}  // namespace krait::server
