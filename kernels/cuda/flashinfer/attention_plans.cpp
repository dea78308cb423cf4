#include "kernels/cuda/flashinfer/attention_plans.h"

#include <utility>

#include "kernels/view_checks.h"

namespace krait::cuda {
namespace {

/// The batch without its plan. The arrays of `into` keep their memory.
void fill_batch(const PagedAttentionArgs& args, AttentionPlan& into) {
  into.query_start_loc.assign(1, 0);
  into.page_start_loc.assign(1, 0);
  into.pages.clear();
  into.last_page_tokens.clear();
  const int block_size = args.cache.block_size;
  for (std::size_t r = 0; r + 1 < args.query_start_loc.size(); ++r) {
    if (args.query_start_loc[r + 1] == args.query_start_loc[r]) continue;
    const int length = args.seq_lens[r];
    const int pages = (length + block_size - 1) / block_size;
    require(length > 0 && pages <= args.max_blocks, "sequence lengths");
    const std::int32_t* table = args.block_table.data() + r * static_cast<std::size_t>(args.max_blocks);
    into.pages.insert(into.pages.end(), table, table + pages);
    into.page_start_loc.push_back(static_cast<std::int32_t>(into.pages.size()));
    into.query_start_loc.push_back(args.query_start_loc[r + 1]);
    into.last_page_tokens.push_back(length - (pages - 1) * block_size);
  }
}

bool is_same_batch(const AttentionPlan& a, const AttentionPlan& b) {
  return a.query_start_loc == b.query_start_loc && a.page_start_loc == b.page_start_loc && a.pages == b.pages &&
         a.last_page_tokens == b.last_page_tokens;
}

}  // namespace

const AttentionPlan& AttentionPlans::of(const PagedAttentionArgs& args, const PagedAttention& kernel) {
  Side& side = sides_[side_];
  if (side.used == side.kept.size()) side.kept.push_back(std::make_unique<Kept>());
  Kept& next = *side.kept[side.used];
  fill_batch(args, next.plan);
  next.form = {.heads = kernel.heads,
               .kv_heads = kernel.cache.kv_heads,
               .head_dim = kernel.cache.head_dim,
               .block_size = kernel.cache.block_size,
               .sliding_window = kernel.sliding_window};
  for (std::size_t i = 0; i < side.used; ++i) {
    const Kept& made = *side.kept[i];
    if (made.form == next.form && is_same_batch(made.plan, next.plan)) return made.plan;
  }
  make(next);
  ++side.used;
  return next.plan;
}

void AttentionPlans::make(Kept& kept) {
  AttentionPlan& plan = kept.plan;
  const FlashInferBatch batch{.query_start_loc = plan.query_start_loc,
                              .page_start_loc = plan.page_start_loc,
                              .heads = kept.form.heads,
                              .kv_heads = kept.form.kv_heads,
                              .head_dim = kept.form.head_dim,
                              .block_size = kept.form.block_size,
                              .sliding_window = kept.form.sliding_window};
  const FlashInferPlanBytes bytes = flashinfer_plan_bytes(batch, stream_);
  grow(plan.tables, bytes.tables, false);
  grow(plan.pinned, bytes.tables, true);
  partials_.ensure(bytes.partials);
  plan.values = make_flashinfer_plan(batch, bytes, plan.tables.data.get(), plan.pinned.data.get(), partials(), stream_);
}

void AttentionPlans::grow(Buffer& buffer, std::size_t bytes, bool pinned) {
  if (buffer.bytes >= bytes) return;
  const std::size_t wanted = bytes + bytes / 4;
  buffer = {};
  buffer = pinned ? device_.allocate_pinned(wanted) : device_.allocate(wanted);
}

}  // namespace krait::cuda
