#include "engine/runner/model_runner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/constraint/mask_session.h"
#include "engine/runner/cache_binding.h"
#include "engine/runner/shared_item_guard.h"
#include "engine/runner/state_rounding.h"
#include "kernels/platform.h"
#include "kernels/result.h"

namespace krait {
namespace {

/// Rows of logits computed at once when whole prompts are asked for: bounds the memory of a large vocabulary.
constexpr std::size_t kLogitsRows = 64;

/// Gives the row the mask of its request's constraint, as late as can be: it was computed while the model ran. The
/// error is why the request cannot go on.
std::optional<Error> constrain(MaskSession* mask, SampleRow& row) {
  if (mask == nullptr) return std::nullopt;
  TokenMask allowed = mask->wait();
  if (allowed.error) return std::move(allowed.error);
  row.allowed_bitmask = allowed.bits;
  // Where the constraint leaves nothing but end tokens, min_tokens cannot be had.
  if (!row.banned_tokens.empty() && !allows_other_than(allowed.bits, row.banned_tokens)) row.banned_tokens = {};
  return std::nullopt;
}

/// Index of the last token of request `r` in the packed batch.
std::int32_t last_row(const BatchLayout& batch, std::size_t r) { return batch.query_start_loc[r + 1] - 1; }

bool are_consecutive(std::span<const std::int32_t> rows) {
  return std::ranges::adjacent_find(rows, [](std::int32_t a, std::int32_t b) { return b != a + 1; }) == rows.end();
}

}  // namespace

ModelRunner::ModelRunner(Platform& platform, Model& model, const MambaConfig& mamba, int block_size)
    : platform_(platform),
      model_(model),
      block_size_(block_size),
      queue_(platform.create_queue()),
      workspace_(platform) {
  selective_state_update_.initialize(mamba);
  initialize_attn_backends(block_size);
  state_rounding_ = choose_state_rounding(mamba, platform, groups_);
  initialize_graphs();
}

void ModelRunner::initialize_attn_backends(int block_size) {
  groups_ = form_cache_groups(model_.attention_layers(), block_size);
  for (const CacheGroup& group : groups_) {
    builders_.push_back(group.backend->make_metadata_builder(group));
    if (group.is_attention()) ++kv_groups_;
  }
}

void ModelRunner::initialize_graphs() {
  GraphRecorder* recorder = queue_->graphs();
  if (recorder == nullptr) return;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    for (const LayerBackend* backend : get_attn_backends_for_group(group)) {
      if (!backend->capabilities().graph_capture) return;
    }
  }
  graphs_.emplace(*queue_, *recorder);
}

std::vector<const LayerBackend*> ModelRunner::get_attn_backends_for_group(std::size_t group) const {
  std::vector<const LayerBackend*> backends;
  const CacheGroup& members = groups_[group];
  for (std::size_t i = 0; i < members.layers.size(); ++i) {
    backends.push_back(members.layers[i]->get_attn_backend(members.spec_index[i]));
  }
  return backends;
}

CacheLayout ModelRunner::cache_layout() const { return make_cache_layout(groups_, block_size_); }

void ModelRunner::bind_pools(std::shared_ptr<CachePools> pools) {
  pools_ = std::move(pools);
  bind_caches(groups_, *pools_, state_rounding_);
}

StepHandle ModelRunner::submit(StepPlan plan) {
  const StepHandle handle = next_handle_++;
  in_flight_[handle] = run(plan);
  return handle;
}

void ModelRunner::abandon() noexcept {
  try {
    queue_->wait();
  } catch (...) {  // a device that does not work says so again at the next step
  }
  in_flight_.clear();
}

StepResult ModelRunner::wait(StepHandle handle) {
  auto node = in_flight_.extract(handle);
  if (node.empty()) KRAIT_BUG("wait for a step that was not submitted");
  InFlight& run = node.mapped();
  if (run.tokens == nullptr) {
    queue_->wait();
    return std::move(run.result);
  }
  std::vector<SampledToken> sampled(run.owners.size());
  run.tokens->wait(sampled);
  for (std::size_t i = 0; i < sampled.size(); ++i) {
    run.result.outputs[run.owners[i]].tokens.push_back(std::move(sampled[i]));
  }
  return std::move(run.result);
}

ModelRunner::InFlight ModelRunner::run(const StepPlan& plan) {
  PackedBatch batch = pack_batch(plan, kv_groups_);
  const std::optional<DecodeBucket> bucket = graphs_ ? decode_bucket(batch.layout) : std::nullopt;
  if (bucket) {
    pad_decodes(*bucket, block_size_, batch);
    batch.token_sources = token_sources(plan, batch.ids.size());
  }
  std::vector<std::unique_ptr<LayerMetadata>> metadata;
  for (const auto& builder : builders_) metadata.push_back(builder->build(batch.layout));

  const Workspace::Scope scope(workspace_);
  ForwardContext context{.ops = queue_->ops(),
                         .workspace = workspace_,
                         .batch = batch.layout,
                         .group_metadata = metadata,
                         .selective_state_update = &selective_state_update_.get()};
  const StepRows rows = forward(context, plan, batch, bucket);

  InFlight run;
  for (const StepRequest& request : plan.requests) {
    run.result.outputs.push_back({.key = request.key, .tokens = {}, .logits = {}, .error = std::nullopt});
  }
  copy_logits(context, plan, rows, run.result);
  score_prompts(context, plan, rows, run.result);
  sample(context, plan, rows, run);
  return run;
}

ModelRunner::StepRows ModelRunner::forward(ForwardContext& context, const StepPlan& plan, const PackedBatch& batch,
                                           const std::optional<DecodeBucket>& bucket) {
#ifndef NDEBUG
  const SharedItemGuard guard(*pools_, plan);
#else
  static_cast<void>(plan);
#endif
  StepArrays arrays;
  arrays.add(batch.ids);
  batch.layout.list_arrays(arrays);
  for (const auto& group : context.group_metadata) group->list_arrays(arrays);

  const auto tokens = static_cast<std::int64_t>(batch.ids.size());
  StepRows rows{.hidden = workspace_.matrix(tokens, model_.config().hidden_size)};
  if (!bucket) {
    queue_->stage(arrays);
    model_.forward(context, batch.ids, rows.hidden);
    return rows;
  }
  rows.logits = workspace_.matrix(tokens, model_.config().vocab_size);
  arrays.add(batch.token_sources);
  const bool ahead = std::ranges::any_of(batch.token_sources, [](std::int32_t source) { return source >= 0; });
  const auto feed = [&] {
    if (ahead) queue_->sampler()->feed(batch.ids, batch.token_sources);
  };
  graphs_->run(*bucket, arrays, feed, [&] {
    model_.forward(context, batch.ids, rows.hidden);
    model_.compute_logits(context, rows.hidden, rows.logits);
  });
  return rows;
}

std::vector<std::int32_t> ModelRunner::token_sources(const StepPlan& plan, std::size_t tokens) const {
  std::vector<std::int32_t> sources;
  for (const StepRequest& request : plan.requests) {
    const bool ahead = request.token_source >= 0;
    sources.push_back(ahead ? last_rows_.at(static_cast<std::size_t>(request.token_source)) : -1);
    if (ahead && sources.back() < 0) KRAIT_BUG("a token is taken from a request that sampled none");
  }
  sources.resize(tokens, -1);
  return sources;
}

TensorView ModelRunner::logits_of(ForwardContext& context, const StepRows& step, std::span<const std::int32_t> rows) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const bool known = step.logits.data != nullptr;
  // Nearly always: every request of the step samples.
  if (known && are_consecutive(rows)) return step.logits.slice_rows(rows.front(), count);
  const TensorView& from = known ? step.logits : step.hidden;
  const TensorView gathered = workspace_.matrix(count, from.columns());
  context.ops.gather_rows({.x = from, .indices = rows, .out = gathered});
  if (known) return gathered;
  const TensorView logits = workspace_.matrix(count, model_.config().vocab_size);
  model_.compute_logits(context, gathered, logits);
  return logits;
}

void ModelRunner::copy_logits(ForwardContext& context, const StepPlan& plan, const StepRows& step, StepResult& result) {
  std::vector<std::int32_t> rows;
  std::vector<std::size_t> owners;
  for (std::size_t r = 0; r < plan.requests.size(); ++r) {
    const PromptLogits wanted = plan.requests[r].logits;
    if (wanted == PromptLogits::kNone) continue;
    const std::int32_t last = last_row(context.batch, r);
    for (std::int32_t row = wanted == PromptLogits::kAll ? context.batch.query_start_loc[r] : last; row <= last;
         ++row) {
      rows.push_back(row);
      owners.push_back(r);
    }
  }
  const auto vocabulary = static_cast<std::size_t>(model_.config().vocab_size);
  for (std::size_t begin = 0; begin < rows.size(); begin += kLogitsRows) {
    const Workspace::Scope scope(workspace_);
    const std::size_t count = std::min(kLogitsRows, rows.size() - begin);
    const TensorView logits = logits_of(context, step, std::span(rows).subspan(begin, count));
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<float>& row = result.outputs[owners[begin + i]].logits.emplace_back(vocabulary);
      queue_->download(row.data(), logits.slice_rows(static_cast<std::int64_t>(i), 1));
    }
  }
}

void ModelRunner::sample(ForwardContext& context, const StepPlan& plan, const StepRows& step, InFlight& run) {
  std::vector<std::int32_t> rows;
  std::vector<SampleRow> parameters;
  std::vector<std::size_t> owners;
  for (std::size_t r = 0; r < plan.requests.size(); ++r) {
    if (!plan.requests[r].sample) continue;
    rows.push_back(last_row(context.batch, r));
    parameters.push_back(*plan.requests[r].sample);
    owners.push_back(r);
  }
  if (rows.empty()) return;
  const Workspace::Scope scope(workspace_);
  const TensorView logits = logits_of(context, step, rows);
  if (logits_hook_) logits_hook_(plan, logits);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    run.result.outputs[owners[i]].error = constrain(plan.requests[owners[i]].mask, parameters[i]);
  }
  last_rows_.assign(plan.requests.size(), -1);
  for (std::size_t i = 0; i < owners.size(); ++i) last_rows_[owners[i]] = static_cast<std::int32_t>(i);
  if (TokenSampler* sampler = queue_->sampler()) {
    run.tokens = sampler->sample({.logits = logits, .rows = parameters, .out = {}});
    run.owners = std::move(owners);
    return;
  }
  std::vector<SampledToken> sampled(rows.size());
  context.ops.sample({.logits = logits, .rows = parameters, .out = sampled});
  for (std::size_t i = 0; i < owners.size(); ++i) {
    run.result.outputs[owners[i]].tokens.push_back(std::move(sampled[i]));
  }
}

}  // namespace krait
