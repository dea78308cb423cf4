#include "engine/cache/cache_pools.h"

#include <algorithm>
#include <utility>

#include "engine/cache/memory_populator.h"
#include "engine/cache/prefix_index.h"
#include "engine/cache/snapshot_format.h"
#include "kernels/platform.h"
#include "kernels/result.h"

namespace krait {
namespace {

const std::byte* as_bytes(const std::string& bytes) { return reinterpret_cast<const std::byte*>(bytes.data()); }
std::byte* as_bytes(std::string& bytes) { return reinterpret_cast<std::byte*>(bytes.data()); }

/// Requests that may come at once and find their memory populated, and their tokens.
constexpr std::size_t kAheadRequests = 32;
constexpr std::int64_t kAheadTokens = 512;

/// A running request has the state that it writes and the one of its last block boundary.
constexpr std::size_t kAheadSlots = 2;

}  // namespace

CachePools::CachePools(Platform& platform, CacheLayout layout, std::size_t budget_bytes)
    : layout_(std::move(layout)), budget_(budget_bytes) {
  if (layout_.block_size <= 0) KRAIT_BUG("a cache layout without a block size");
  for (const KvGroupLayout& group : layout_.kv_groups) {
    pages_.push_back(std::make_unique<ItemPool>(platform, budget_, group.page_bytes));
  }
  if (layout_.slot_bytes > 0) slots_ = std::make_unique<ItemPool>(platform, budget_, layout_.slot_bytes);
  if (krait::packs_snapshots(layout_)) {
    packed_ = std::make_unique<ItemPool>(platform, budget_, snapshot_bytes(layout_));
  }
}

CachePools::~CachePools() {
  if (populator_ != nullptr) populator_->stop();  // Its thread touches the pools' memory.
}

void CachePools::enable_prefix_index() {
  prefix_index_ = std::make_unique<PrefixIndex>(*this);
  budget_.on_pressure([this](std::size_t bytes) { return prefix_index_->make_room(bytes); });
}

void CachePools::set_computing(bool computing) {
  if (populator_ != nullptr) populator_->set_computing(computing);
}

void CachePools::populate_ahead(const Platform& platform, bool spare_cores) {
  populator_ = std::make_unique<MemoryPopulator>(platform, spare_cores);
  const auto pages = static_cast<std::size_t>((kAheadTokens + layout_.block_size - 1) / layout_.block_size);
  for (const auto& pool : pages_) pool->populate_ahead(*populator_, kAheadRequests * pages * pool->item_bytes());
  for (const auto& pool : {slots_.get(), packed_.get()}) {
    if (pool != nullptr) pool->populate_ahead(*populator_, kAheadRequests * kAheadSlots * pool->item_bytes());
  }
  populator_->start();
}

std::optional<std::int32_t> CachePools::make_snapshot(std::int32_t slot) {
  if (packed_ == nullptr) {
    slots_->retain(slot);
    return slot;
  }
  const std::optional<std::int32_t> snapshot = packed_->allocate();
  if (!snapshot) return std::nullopt;
  if (std::byte* to = packed_->host_data(*snapshot)) {
    pack_snapshot(layout_, slots_->host_data(slot), to);
  } else {
    std::string packed(packed_->item_bytes(), '\0');
    pack_snapshot(layout_, as_bytes(slots_->read(slot)), as_bytes(packed));
    packed_->write(*snapshot, packed);
  }
  return snapshot;
}

std::optional<std::int32_t> CachePools::unpack(std::int32_t snapshot) {
  const std::optional<std::int32_t> slot = slots_->allocate();
  if (!slot) return std::nullopt;
  if (std::byte* to = slots_->host_data(*slot)) {
    unpack_snapshot(layout_, packed_->host_data(snapshot), to);
  } else {
    std::string state(slots_->item_bytes(), '\0');
    unpack_snapshot(layout_, as_bytes(packed_->read(snapshot)), as_bytes(state));
    slots_->write(*slot, state);
  }
  return slot;
}

std::size_t CachePools::idle_bytes() const {
  std::size_t bytes = 0;
  for (const auto& pool : pages_) bytes += static_cast<std::size_t>(pool->idle()) * pool->item_bytes();
  if (slots_ != nullptr) bytes += static_cast<std::size_t>(slots_->idle()) * slots_->item_bytes();
  if (packed_ != nullptr) bytes += static_cast<std::size_t>(packed_->idle()) * packed_->item_bytes();
  return bytes;
}

std::size_t CachePools::bytes_for(std::int64_t tokens) const {
  const auto pages = static_cast<std::size_t>((tokens + layout_.block_size - 1) / layout_.block_size);
  std::size_t bytes = layout_.slot_bytes;
  for (const KvGroupLayout& group : layout_.kv_groups) bytes += pages * group.page_bytes;
  return bytes;
}

}  // namespace krait
