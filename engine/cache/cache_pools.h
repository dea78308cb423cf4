#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/cache/cache_layout.h"

namespace krait {

class MemoryPopulator;
class Platform;
class PrefixIndex;
class ReservedMemory;

/// The one byte budget that all pools draw from (design, section 4). Counts the bytes of items in use; never moves
/// anything.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t total) : total_(total) {}
  /// Is asked to free what is cached when there is no room for `bytes`; true when there is now.
  void on_pressure(std::function<bool(std::size_t bytes)> reclaim) { reclaim_ = std::move(reclaim); }
  [[nodiscard]] bool take(std::size_t bytes);
  void give_back(std::size_t bytes);
  [[nodiscard]] std::size_t total() const { return total_; }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::size_t total_;
  std::size_t used_ = 0;
  std::function<bool(std::size_t)> reclaim_;
};

/// Items of one size in one reserved range: KV pages or state slots. Item 0 is the null item that padding points at; it
/// is never handed out, nor counted. Memory is committed in steps as the highest item in use grows and goes back to the
/// system when it falls; the budget counts items in use, so that pages and slots share it elastically. The lowest free
/// item is handed out first, which keeps the committed range short. Free items, below the highest one and behind it,
/// keep their memory up to a sixteenth of the budget; beyond that it goes back too, so that no item need ever be moved.
///
/// An item may have several holders: requests, and the prefix index, which lists it. It is free when the last one has
/// released it. Used by the engine's thread only.
class ItemPool {
 public:
  ItemPool(Platform& platform, MemoryBudget& budget, std::size_t item_bytes);
  ~ItemPool();
  ItemPool(const ItemPool&) = delete;
  ItemPool& operator=(const ItemPool&) = delete;

  /// From here on `populator` has up to `bytes` behind the highest item in use backed, if the platform can; never more
  /// than free items may keep, nor than the budget has left.
  void populate_ahead(MemoryPopulator& populator, std::size_t bytes);

  /// The lowest free item, with one holder, or nullopt when the budget or the machine has no room for one more. Its
  /// content is whatever was left in it (NaN bytes in debug builds, if it was used before).
  [[nodiscard]] std::optional<std::int32_t> allocate();
  /// One more holder.
  void retain(std::int32_t item);
  void release(std::int32_t item);
  /// The prefix index becomes a holder, or ceases to be one. Only one index lists an item, and only once.
  void list(std::int32_t item);
  void unlist(std::int32_t item);
  /// Held by the index and nobody else: what eviction can free.
  [[nodiscard]] bool is_idle(std::int32_t item) const;
  [[nodiscard]] std::int64_t idle() const { return idle_; }
  /// One request holds it and nobody else may read it, so that it may be written.
  [[nodiscard]] bool is_exclusive(std::int32_t item) const;
  /// The index is among its holders.
  [[nodiscard]] bool is_listed(std::int32_t item) const;
  /// Holders beside the index.
  [[nodiscard]] int users(std::int32_t item) const;

  /// For debug builds: `count` items from `first` on cannot be written, where they fill pages of the system.
  void set_read_only(std::int32_t first, std::int32_t count, bool read_only);

  /// First byte of item 0 in the platform's memory, which the processor may not be able to reach; never moves.
  [[nodiscard]] std::byte* base() const;
  /// The item where the processor itself may read and write it; null where it may not.
  [[nodiscard]] std::byte* host_data(std::int32_t item) const;
  /// A copy of an item's `item_bytes` bytes in the host's memory, and an item written from one. No step may be in
  /// flight.
  [[nodiscard]] std::string read(std::int32_t item) const;
  void write(std::int32_t item, std::string_view bytes);
  [[nodiscard]] std::size_t item_bytes() const { return item_bytes_; }
  [[nodiscard]] std::int64_t used() const { return used_; }

 private:
  struct Holders {
    std::uint32_t count = 0;
    bool listed = false;
  };
  Holders& holders_of(std::int32_t item);

  /// Backs items [0, items) with memory; false when the machine has none left.
  [[nodiscard]] bool commit_items(std::int64_t items);
  [[nodiscard]] bool commit_bytes(std::size_t needed);
  /// What free items may keep of memory: all of them, and what is left of that for those behind the highest in use.
  [[nodiscard]] std::size_t kept_bytes() const;
  [[nodiscard]] std::size_t spare_bytes() const;
  /// Tells the populator what is handed out next.
  void want_ahead();
  /// Gives the end of the range back once it is well above the highest item in use.
  void trim();
  /// Gives memory of free items back while there is more of it than the pool may keep.
  void discard_surplus();
  void poison(std::int32_t item);
  void free(std::int32_t item);

  std::size_t item_bytes_;
  MemoryBudget& budget_;
  std::int64_t capacity_items_;  ///< with the null item
  std::unique_ptr<ReservedMemory> memory_;
  std::vector<Holders> holders_;  ///< by item; those from next_item_ on have none
  std::int64_t idle_ = 0;
  std::set<std::int32_t> free_items_;    ///< all below next_item_
  std::set<std::int32_t> backed_items_;  ///< of those, the ones that may have memory
  std::int32_t next_item_ = 1;           ///< every item from here on is free
  std::int64_t used_ = 0;
  MemoryPopulator* populator_ = nullptr;  ///< null: memory is backed when it is first written
  std::size_t populator_index_ = 0;
  std::size_t ahead_bytes_ = 0;
};

/// All caches of one model: a page pool for each KV group, a slot pool where the model has recurrent state, one budget.
class CachePools {
 public:
  CachePools(Platform& platform, CacheLayout layout, std::size_t budget_bytes);
  ~CachePools();

  /// From here on prefixes are listed, and what only the index holds is let go of when memory is short.
  void enable_prefix_index();
  /// From here on a thread has memory backed before requests need it (see `MemoryPopulator`): at most what 32 requests
  /// of 512 tokens take, and of each pool no more than free items may keep. Nothing happens on a platform that backs
  /// memory when it commits it.
  void populate_ahead(const Platform& platform, bool spare_cores);
  /// The engine begins to compute, or has nothing to compute.
  void set_computing(bool computing);
  [[nodiscard]] PrefixIndex* prefix_index() const { return prefix_index_.get(); }  ///< null: prefixes are not cached

  [[nodiscard]] const CacheLayout& layout() const { return layout_; }
  [[nodiscard]] MemoryBudget& budget() { return budget_; }
  [[nodiscard]] const MemoryBudget& budget() const { return budget_; }
  [[nodiscard]] ItemPool& pages(std::size_t group) { return *pages_[group]; }
  [[nodiscard]] const ItemPool& pages(std::size_t group) const { return *pages_[group]; }
  [[nodiscard]] ItemPool* slots() { return slots_.get(); }  ///< null for a model without recurrent state
  [[nodiscard]] const ItemPool* slots() const { return slots_.get(); }

  /// Where snapshots lie: the slots themselves, unless they are kept in fewer bits.
  [[nodiscard]] ItemPool* snapshots() { return packed_ != nullptr ? packed_.get() : slots_.get(); }
  [[nodiscard]] const ItemPool* snapshots() const { return packed_ != nullptr ? packed_.get() : slots_.get(); }
  [[nodiscard]] bool packs_snapshots() const { return packed_ != nullptr; }
  /// The snapshot of the state in `slot`, with a hold for the caller; nullopt when there is no room for it. Without
  /// packing, the slot itself.
  [[nodiscard]] std::optional<std::int32_t> make_snapshot(std::int32_t slot);
  /// A new slot with a packed snapshot's state; nullopt when there is no room.
  [[nodiscard]] std::optional<std::int32_t> unpack(std::int32_t snapshot);

  /// Bytes of the items that only the prefix index holds: what eviction could free.
  [[nodiscard]] std::size_t idle_bytes() const;

  /// Bytes that one request of `tokens` tokens needs, null items aside: what "can never fit" is judged by.
  [[nodiscard]] std::size_t bytes_for(std::int64_t tokens) const;

 private:
  CacheLayout layout_;
  MemoryBudget budget_;
  std::unique_ptr<MemoryPopulator> populator_;  ///< outlives the pools, which tell it what they give back
  std::vector<std::unique_ptr<ItemPool>> pages_;
  std::unique_ptr<ItemPool> slots_;
  std::unique_ptr<ItemPool> packed_;  ///< null: a snapshot is a slot
  std::unique_ptr<PrefixIndex> prefix_index_;
};

}  // namespace krait
