#pragma once

#include "kernels/cpu/isa/attention_tiles.h"
#include "kernels/cpu/isa/attention_token.h"

/// Softmax attention over pages by the online method (Milakov and Gimelshein, 2018): for each (query token, head) the
/// keys of a segment are folded in tiles of 16 that lie at absolute positions [16j, 16j + 16), in order, and the
/// segments are merged in order. What a tile adds depends on the query's own visible keys alone, so a row's result is
/// the same in a prefill of any cut and in decode. Rows of one block share the tiles' loads. Where V is a part of K
/// (latent attention) a tile is loaded once and read as both.
namespace krait::cpu {
namespace {

/// The sums of one segment's keys.
template <typename V>
void fold_segment(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                  const AttentionHeads& heads, Index segment, const RowSums& sums) {
  const Index first_key = larger(first_visible(args, block.first_position), segment * kAttentionSegment);
  const Index end_key = smaller(Index{block.first_position} + block.tokens, (segment + 1) * kAttentionSegment);
  start_rows<V>(args, s, block, heads, segment, sums);
  if (block.tokens == 1) {
    fold_token<V>(args, s, block, heads, first_key, end_key, sums);
  } else {
    fold_tiles<V>(args, s, block, heads, first_key, end_key, sums);
  }
}

/// Segments first to last of a block.
struct SegmentRange {
  Index first;
  Index last;
};
inline SegmentRange segments_of(const AttentionKernelArgs& args, const AttentionBlock& block) {
  return {first_segment(args, block.first_position), last_segment(Index{block.first_position} + block.tokens - 1)};
}

template <typename V>
void attend(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
            const AttentionHeads& heads) {
  const SegmentRange segments = segments_of(args, block);
  load_queries<V>(args, s, block, heads);
  for (Index segment = segments.first; segment <= segments.last; ++segment) {
    fold_segment<V>(args, s, block, heads, segment, s.segment);
    if (segments.first < segments.last) merge_rows<V>(args, s, block, heads, segment, s.segment);
  }
  finish_rows<V>(args, s, block, heads, segments.first < segments.last ? s.total : s.segment);
}

/// Segment number `index` of a block whose segments are several units; whoever computes the last of them merges all.
template <typename V>
void attend_segment(const AttentionKernelArgs& args, const AttentionScratch& s, const AttentionBlock& block,
                    const AttentionHeads& heads, Index unit) {
  const SegmentRange segments = segments_of(args, block);
  const Index floats = row_sums_floats(args);
  const Index whole = unit / args.segments;
  float* partials = args.partials + whole * args.segments * floats;
  const Index segment = segments.first + unit % args.segments;
  if (segment <= segments.last) {
    load_queries<V>(args, s, block, heads);
    fold_segment<V>(args, s, block, heads, segment, row_sums(args, partials + unit % args.segments * floats));
  }
  if (__atomic_add_fetch(args.finished + whole, 1, __ATOMIC_ACQ_REL) != args.segments) return;
  for (Index done = segments.first; done <= segments.last; ++done) {
    merge_rows<V>(args, s, block, heads, done, row_sums(args, partials + (done - segments.first) * floats));
  }
  finish_rows<V>(args, s, block, heads, s.total);
}

/// Unit u is segment u % segments of head part u / segments % parts of KV head u / segments / parts % kv_heads of the
/// block u / segments / parts / kv_heads.
template <typename V>
void attention(const AttentionKernelArgs& args, Index begin, Index end, float* scratch) {
  const AttentionScratch s = attention_layout(args, scratch);
  const Index group = args.heads / args.cache.kv_heads;
  const Index parts = (group + args.heads_per_unit - 1) / args.heads_per_unit;
  for (Index unit = begin; unit < end; ++unit) {
    const Index whole = unit / args.segments;
    const Index kv_head = whole / parts % args.cache.kv_heads;
    const Index skipped = whole % parts * args.heads_per_unit;
    const AttentionHeads heads{
        .kv_head = kv_head, .first = kv_head * group + skipped, .count = smaller(args.heads_per_unit, group - skipped)};
    const AttentionBlock& block = args.blocks[whole / parts / args.cache.kv_heads];
    if (args.partials != nullptr) {
      attend_segment<V>(args, s, block, heads, unit);
    } else {
      attend<V>(args, s, block, heads);
    }
  }
}

}  // namespace
}  // namespace krait::cpu
