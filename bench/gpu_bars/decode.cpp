#include <cstdio>
#include <memory>
#include <vector>

#include "bench/cache_bars/served_shape.h"
#include "bench/gpu_bars/bars.h"
#include "bench/shapes/published_shapes.h"

namespace krait::bench {
namespace {

constexpr const char* kShape = "granite-4.0-h-1b";
constexpr int kPromptTokens = 128;
constexpr int kTokens = 256;
/// Steps at whose ends something else is done: the last prompts at one, the first requests that end at the other.
constexpr std::size_t kLeftOut = 32;

/// Seconds between two tokens of `batch` requests that decode together: the median over the first one's.
double seconds_a_step(ServedShape& served, int batch) {
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < batch; ++i) {
    streams.push_back(std::make_unique<Stream>(
        served.engine(), served.request(served.random_tokens(kPromptTokens, static_cast<std::uint64_t>(i) + 1),
                                        kTokens + static_cast<int>(2 * kLeftOut))));
  }
  for (const auto& stream : streams) stream->wait();
  // The last to come is the last to decode among all.
  const auto first = streams.front()->times();
  const auto last = streams.back()->times();
  std::vector<double> between;
  for (std::size_t i = 1; i < first.size(); ++i) {
    if (first[i - 1] < last[kLeftOut]) continue;
    between.push_back(std::chrono::duration<double>(first[i] - first[i - 1]).count());
  }
  return median(between);
}

BarResult decode_share(int batch, double least) {
  const double bandwidth = device_bandwidth();
  ServedShape served(published_shape(kShape), [&](LoadOptions& options) {
    options.device = {.kind = DeviceChoice::Kind::kCuda, .ordinal = 0};
    options.max_num_seqs = batch;
    options.enable_prefix_caching = false;
    options.snapshots.mode = MambaCacheMode::kNone;
  });
  const ModelSummary& summary = served.summary();
  const double seconds = seconds_a_step(served, batch);
  const double states = 2.0 * static_cast<double>(summary.state_bytes_per_request);
  const double keys = static_cast<double>(summary.kv_bytes_per_token) * (kPromptTokens + kTokens / 2.0);
  const double bytes = static_cast<double>(summary.weight_bytes - summary.lookup_bytes) + batch * (states + keys);
  std::fprintf(stderr, "decode of %d: %.0f us a step, %.0f GB/s; a copy: %.0f GB/s\n", batch, seconds * 1e6,
               bytes / seconds * 1e-9, bandwidth * 1e-9);
  return at_least(bytes / seconds / bandwidth, least);
}

}  // namespace

BarResult decode_batch_1() { return decode_share(1, 0.75); }
BarResult decode_batch_64() { return decode_share(64, 0.65); }

}  // namespace krait::bench
