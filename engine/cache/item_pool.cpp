#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "engine/cache/cache_pools.h"
#include "engine/cache/memory_populator.h"
#include "kernels/platform.h"
#include "kernels/result.h"

namespace krait {

namespace {

/// Memory is committed and given back in steps of about this much: small enough to start fast, large enough to be rare.
constexpr std::size_t kCommitStep = std::size_t{4} << 20U;

/// Of the budget, what free items may keep of memory, so that freeing and allocating in turn costs no page faults.
constexpr std::size_t kKeptShare = 16;

/// And at least this many items: a running request lets one go and takes another at every block border.
constexpr std::size_t kLeastKeptItems = 2;

/// Items of a pool that the first request is sure to need: two states, and that of its prompt.
constexpr std::size_t kUrgentItems = 4;

std::size_t round_up(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

/// Items that the budget could ever pay for, and the null item; an item's number has 31 bits.
std::int64_t capacity_for(std::size_t budget, std::size_t item_bytes) {
  if (item_bytes == 0) KRAIT_BUG("a cache pool of items without bytes");
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max() - 1;
  return static_cast<std::int64_t>(std::min(budget / item_bytes, kMost)) + 1;
}

}  // namespace

bool MemoryBudget::take(std::size_t bytes) {
  if (bytes > total_ - used_ && !(reclaim_ && reclaim_(bytes))) return false;
  used_ += bytes;
  return true;
}

void MemoryBudget::give_back(std::size_t bytes) {
  if (bytes > used_) KRAIT_BUG("more cache bytes given back than were taken");
  used_ -= bytes;
}

ItemPool::ItemPool(Platform& platform, MemoryBudget& budget, std::size_t item_bytes)
    : item_bytes_(item_bytes),
      budget_(budget),
      capacity_items_(capacity_for(budget.total(), item_bytes)),
      memory_(platform.reserve(static_cast<std::size_t>(capacity_items_) * item_bytes)) {
  if (!commit_items(1)) throw std::bad_alloc();
}

ItemPool::~ItemPool() = default;

std::byte* ItemPool::base() const { return memory_->data(); }

std::byte* ItemPool::host_data(std::int32_t item) const {
  return memory_->host_accessible() ? base() + static_cast<std::size_t>(item) * item_bytes_ : nullptr;
}

std::string ItemPool::read(std::int32_t item) const {
  // Not zeroed first where that can be helped: a state has tens of megabytes.
  if (const std::byte* data = host_data(item)) return {reinterpret_cast<const char*>(data), item_bytes_};
  std::string bytes(item_bytes_, '\0');
  memory_->read(static_cast<std::size_t>(item) * item_bytes_, item_bytes_, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

void ItemPool::write(std::int32_t item, std::string_view bytes) {
  if (bytes.size() != item_bytes_) KRAIT_BUG("an item of a cache pool written with too few or too many bytes");
  memory_->write(static_cast<std::size_t>(item) * item_bytes_, item_bytes_,
                 reinterpret_cast<const std::byte*>(bytes.data()));
}

std::optional<std::int32_t> ItemPool::allocate() {
  if (!budget_.take(item_bytes_)) return std::nullopt;
  // Read after the budget has perhaps had items freed.
  const bool reuse = !free_items_.empty();
  if (!reuse && next_item_ >= capacity_items_) KRAIT_BUG("a cache pool gave out more items than its budget has");
  if (!reuse && !commit_items(std::int64_t{next_item_} + 1)) {
    budget_.give_back(item_bytes_);
    return std::nullopt;
  }
  ++used_;
  const std::int32_t item = reuse ? free_items_.extract(free_items_.begin()).value() : next_item_++;
  if (!reuse) want_ahead();
  backed_items_.erase(item);
  if (holders_.size() <= static_cast<std::size_t>(item)) holders_.resize(static_cast<std::size_t>(item) + 1);
  holders_[static_cast<std::size_t>(item)] = {.count = 1, .listed = false};
  return item;
}

ItemPool::Holders& ItemPool::holders_of(std::int32_t item) {
  if (item <= 0 || item >= next_item_ || holders_[static_cast<std::size_t>(item)].count == 0) {
    KRAIT_BUG("cache item " + std::to_string(item) + " is used, but nobody holds it");
  }
  return holders_[static_cast<std::size_t>(item)];
}

void ItemPool::retain(std::int32_t item) {
  Holders& holders = holders_of(item);
  if (is_idle(item)) --idle_;
  ++holders.count;
}

void ItemPool::release(std::int32_t item) {
  Holders& holders = holders_of(item);
  if (holders.listed && holders.count == 1) KRAIT_BUG("cache item " + std::to_string(item) + " released by a stranger");
  if (--holders.count == 0) return free(item);
  if (is_idle(item)) ++idle_;
}

void ItemPool::list(std::int32_t item) {
  Holders& holders = holders_of(item);
  if (std::exchange(holders.listed, true)) KRAIT_BUG("cache item " + std::to_string(item) + " is listed twice");
  ++holders.count;
}

void ItemPool::unlist(std::int32_t item) {
  if (is_idle(item)) --idle_;
  if (!std::exchange(holders_of(item).listed, false)) {
    KRAIT_BUG("cache item " + std::to_string(item) + " is not listed");
  }
  release(item);
}

bool ItemPool::is_exclusive(std::int32_t item) const {
  const Holders& holders = holders_[static_cast<std::size_t>(item)];
  return !holders.listed && holders.count == 1;
}

int ItemPool::users(std::int32_t item) const {
  const Holders& holders = holders_[static_cast<std::size_t>(item)];
  return static_cast<int>(holders.count) - (holders.listed ? 1 : 0);
}

bool ItemPool::is_listed(std::int32_t item) const { return holders_[static_cast<std::size_t>(item)].listed; }

bool ItemPool::is_idle(std::int32_t item) const {
  const Holders& holders = holders_[static_cast<std::size_t>(item)];
  return holders.listed && holders.count == 1;
}

void ItemPool::set_read_only(std::int32_t first, std::int32_t count, bool read_only) {
  memory_->set_read_only(static_cast<std::size_t>(first) * item_bytes_, static_cast<std::size_t>(count) * item_bytes_,
                         read_only);
}

void ItemPool::free(std::int32_t item) {
  free_items_.insert(item);
  backed_items_.insert(item);
  poison(item);
  --used_;
  budget_.give_back(item_bytes_);
  trim();
  discard_surplus();
}

bool ItemPool::commit_items(std::int64_t items) { return commit_bytes(static_cast<std::size_t>(items) * item_bytes_); }

bool ItemPool::commit_bytes(std::size_t needed) {
  if (memory_->committed() >= needed) return true;
  const std::size_t generous = std::min(round_up(needed, kCommitStep), memory_->capacity());
  return memory_->commit(std::max(generous, needed)) || memory_->commit(needed);
}

void ItemPool::trim() {
  bool lost = false;  // memory behind the highest item in use that had been populated
  while (!free_items_.empty() && *free_items_.rbegin() == next_item_ - 1) {
    lost = backed_items_.erase(next_item_ - 1) == 0 || lost;
    free_items_.erase(std::prev(free_items_.end()));
    --next_item_;
  }
  const std::size_t used = static_cast<std::size_t>(next_item_) * item_bytes_;
  const std::size_t keep = round_up(used + spare_bytes(), kCommitStep);
  // A step of slack, so that a request at the border does not commit and shrink in turn.
  const bool shrinks = memory_->committed() > keep + kCommitStep;
  if (shrinks) memory_->shrink(keep);
  if (populator_ == nullptr || !(shrinks || lost)) return;
  // To populate again what is still there costs little.
  populator_->forget(populator_index_, lost ? used : keep);
  want_ahead();
}

std::size_t ItemPool::kept_bytes() const {
  return std::max({budget_.total() / kKeptShare, kCommitStep, kLeastKeptItems * item_bytes_});
}

std::size_t ItemPool::spare_bytes() const {
  const std::size_t kept = kept_bytes();
  return kept - std::min(kept, backed_items_.size() * item_bytes_);
}

void ItemPool::populate_ahead(MemoryPopulator& populator, std::size_t bytes) {
  if (!memory_->can_populate()) return;
  ahead_bytes_ = bytes;
  populator_ = &populator;
  populator_index_ = populator.add(*memory_, kUrgentItems * item_bytes_);
  want_ahead();
}

void ItemPool::want_ahead() {
  if (populator_ == nullptr) return;
  const std::size_t begin = static_cast<std::size_t>(next_item_) * item_bytes_;
  const std::size_t ahead = std::min({ahead_bytes_, spare_bytes(), budget_.total() - budget_.used()});
  const std::size_t end = std::min(begin + ahead, memory_->capacity());
  // What the machine refuses now is asked for again when an item needs it.
  static_cast<void>(commit_bytes(end));
  populator_->want(populator_index_, begin, std::min(end, memory_->committed()));
}

void ItemPool::discard_surplus() {
  const std::size_t kept = kept_bytes() / item_bytes_;
  while (backed_items_.size() > kept) {
    const std::int32_t highest = *backed_items_.rbegin();
    backed_items_.erase(highest);
    memory_->discard(static_cast<std::size_t>(highest) * item_bytes_, item_bytes_);
  }
}

/// In debug builds a freed item is filled with NaNs, so that whoever trusts what was left in it is found out.
void ItemPool::poison([[maybe_unused]] std::int32_t item) {
#ifndef NDEBUG
  write(item, std::string(item_bytes_, '\xFF'));
#endif
}

}  // namespace krait
