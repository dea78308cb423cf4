#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "bench/cache_bars/bar.h"
#include "bench/cache_bars/bar_shapes.h"
#include "bench/cache_bars/served_shape.h"
#include "engine/cache/cache_pools.h"
#include "engine/model_plan.h"
#include "engine/runner/batch_builder.h"
#include "engine/scheduler/scheduler.h"
#include "models/backends/layer_backend.h"

namespace krait::bench {
namespace {

constexpr int kRequests = 256;
constexpr int kPrompt = 500;
constexpr int kSteps = 2000;

/// The 350m shape's caches with items of a few bytes: what planning costs does not depend on their size.
CacheLayout shrunk(CacheLayout layout) {
  for (KvGroupLayout& group : layout.kv_groups) group.page_bytes = 64;
  layout.slot_bytes = 64;
  return layout;
}

/// Answers each request that samples with a token.
StepResult answer(const StepPlan& plan, std::int32_t token) {
  StepResult result;
  for (const StepRequest& request : plan.requests) {
    StepOutput output{.key = request.key, .tokens = {}, .logits = {}, .error = std::nullopt};
    if (request.sample) output.tokens.push_back({.token = token});
    result.outputs.push_back(std::move(output));
  }
  return result;
}

/// Processor time of this thread: what else runs on the machine does not count.
double micros_now() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

void add_requests(Scheduler& scheduler, TimePoint now) {
  for (int i = 0; i < kRequests; ++i) {
    EngineRequest request;
    request.id = std::to_string(i);
    for (int t = 0; t < kPrompt; ++t) request.prompt.push_back((i * 7919 + t * 31) % 100000);
    request.sampling.max_tokens = 4 * kSteps;
    request.sampling.ignore_eos = true;
    scheduler.add(static_cast<std::uint64_t>(i) + 1, std::move(request), now);
  }
}

}  // namespace

/// What the engine's thread does between two steps of 256 decodes: read the outcome of the last, plan the next, lay the
/// batch out, build every group's metadata, and hand the tokens over. Microseconds, the median of many steps.
BarResult schedule_256() {
  const RandomCheckpoint checkpoint(shape_350m(), RandomCheckpoint::Content::kConfigAlone);
  LoadOptions options;
  options.model_path = checkpoint.folder();
  const ModelPlan model = make_model_plan(options);
  std::vector<std::unique_ptr<MetadataBuilder>> builders;
  for (const CacheGroup& group : model.runner->groups()) {
    builders.push_back(group.backend->make_metadata_builder(group));
  }
  CachePools pools(*model.platform, shrunk(model.runner->cache_layout()), std::size_t{64} << 20U);
  pools.enable_prefix_index();
  Scheduler scheduler({.max_num_seqs = kRequests, .max_num_batched_tokens = 2048, .prefill_tile = 16, .snapshots = {}},
                      pools);
  TimePoint now = Clock::now();
  add_requests(scheduler, now);
  std::vector<double> micros;
  std::vector<double> planning;
  std::vector<double> metadata;
  while (static_cast<int>(micros.size()) < kSteps) {
    now += std::chrono::milliseconds(10);
    const double begin = micros_now();
    StepPlan plan = scheduler.schedule(now);
    const double planned = micros_now();
    const PackedBatch batch = pack_batch(plan, pools.layout().kv_groups.size());
    for (const auto& builder : builders) static_cast<void>(builder->build(batch.layout));
    const double built = micros_now();
    StepResult result = answer(plan, static_cast<std::int32_t>(3 + micros.size() % 1000));
    const double answered = micros_now();
    scheduler.update(std::move(result), now + std::chrono::milliseconds(1));
    static_cast<void>(scheduler.take_events());
    const double end = micros_now();
    const bool all_decode = plan.requests.size() == kRequests &&
                            std::ranges::all_of(plan.requests, [](const StepRequest& r) { return r.is_decode; });
    if (!all_decode) continue;
    micros.push_back((built - begin) + (end - answered));
    planning.push_back(planned - begin);
    metadata.push_back(built - planned);
  }
  std::fprintf(stderr,
               "schedule_256: median %.0f us (plan %.0f, metadata %.0f, outcome the rest), 99th percentile %.0f, worst "
               "%.0f\n",
               median(micros), median(planning), median(metadata), percentile(micros, 0.99), percentile(micros, 1.0));
  return at_most(median(micros), 300);
}

}  // namespace krait::bench
