#include "engine/cache/disk/prefix_writer.h"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/cache/context_transfer.h"
#include "engine/cache/prefix_index.h"
#include "engine/cache/snapshot_format.h"

namespace krait {
namespace {

/// An entry of fewer blocks costs more than it saves.
constexpr int kLeastBlocks = 2;

}  // namespace

PrefixWriter::PrefixWriter(CachePools& pools, DiskTier& tier) : pools_(pools), tier_(tier) {
  pools_.prefix_index()->on_progress([this](const PrefixNode& node) { offer(node); });
}

PrefixWriter::~PrefixWriter() { pools_.prefix_index()->on_progress({}); }

void PrefixWriter::offer(const PrefixNode& node) {
  if (node.depth < kLeastBlocks) return;
  const PathTokens path = tokens_of_path(node);
  const std::vector<EntryKey> keys = prefix_keys(tier_.identity(), path.salt, path.tokens);
  const DiskTier::Place before = tier_.longest_known(keys);
  if (node.depth - before.blocks < kLeastBlocks) return;
  std::size_t bytes = snapshot_bytes(pools_.layout());
  for (const KvGroupLayout& group : pools_.layout().kv_groups) {
    bytes += static_cast<std::size_t>(node.depth - before.blocks) * group.page_bytes;
  }
  if (!tier_.has_room(bytes)) return;
  try {
    auto image = copy_path(pools_, node, before.blocks);
    if (image) tier_.write(keys.back(), before.key, *std::move(image));
  } catch (const std::bad_alloc&) {
    return;  // The entry is not written; requests go on.
  }
}

}  // namespace krait
