#include "engine/runner/batch_builder.h"

#include <algorithm>

#include "kernels/result.h"

namespace krait {
namespace {

void add_request(const StepRequest& request, PackedBatch& batch) {
  BatchLayout& layout = batch.layout;
  const auto count = static_cast<std::int32_t>(request.tokens.size());
  if (request.is_decode) {
    if (layout.num_prefills > 0) KRAIT_BUG("a step plan lists its decodes first");
    ++layout.num_decodes;
    layout.num_decode_tokens += count;
  } else {
    ++layout.num_prefills;
    layout.num_prefill_tokens += count;
  }
  batch.ids.insert(batch.ids.end(), request.tokens.begin(), request.tokens.end());
  for (std::int32_t i = 0; i < count; ++i) layout.positions.push_back(request.num_computed + i);
  layout.query_start_loc.push_back(layout.query_start_loc.back() + count);
  layout.num_computed_tokens.push_back(request.num_computed);
  layout.seq_lens.push_back(request.num_computed + count);
  layout.state_read.push_back(request.state_read);
  layout.state_write.push_back(request.state_write);
  layout.num_replayed_tokens.push_back(request.num_replayed);
  const int index = layout.num_reqs() - 1;
  for (const auto& [position, slot] : request.snapshots) {
    layout.snapshots.push_back({.request = index, .position = position, .slot = slot});
  }
}

BlockTable block_table(const StepPlan& plan, std::size_t group) {
  BlockTable table;
  for (const StepRequest& request : plan.requests) {
    table.max_blocks = std::max(table.max_blocks, static_cast<int>(request.pages[group].size()));
  }
  table.pages.reserve(plan.requests.size() * static_cast<std::size_t>(table.max_blocks));
  for (const StepRequest& request : plan.requests) {
    const auto& pages = request.pages[group];
    table.pages.insert(table.pages.end(), pages.begin(), pages.end());
    table.pages.resize(table.pages.size() + static_cast<std::size_t>(table.max_blocks) - pages.size(), 0);
  }
  return table;
}

}  // namespace

PackedBatch pack_batch(const StepPlan& plan, std::size_t kv_groups) {
  PackedBatch batch;
  batch.layout.query_start_loc.push_back(0);
  for (const StepRequest& request : plan.requests) add_request(request, batch);
  for (std::size_t group = 0; group < kv_groups; ++group) batch.layout.block_tables.push_back(block_table(plan, group));
  return batch;
}

}  // namespace krait
