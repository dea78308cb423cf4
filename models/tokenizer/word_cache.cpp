// A direct-mapped table: no list to keep in order, no entry to free, and a miss costs the same as a hit. Slots hold
// their bytes in place, so that looking one up touches one or two cache lines.
#include "models/tokenizer/word_cache.h"

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>

namespace krait {
namespace {

constexpr std::size_t kSlots = 1U << 15;
constexpr std::size_t kLocks = 64;
/// Longer pieces repeat too rarely to be worth the room; with these two, the cache stays below 6 MB.
constexpr std::size_t kMaxPieceBytes = 48;
constexpr std::size_t kMaxTokens = 12;

struct Slot {
  std::uint8_t length = 0;  ///< 0 for a free slot
  std::uint8_t count = 0;
  std::array<char, kMaxPieceBytes> piece{};
  std::array<std::int32_t, kMaxTokens> tokens{};

  [[nodiscard]] bool holds(std::string_view text) const {
    return length == text.size() && std::equal(text.begin(), text.end(), piece.begin());
  }
};

}  // namespace

struct WordCache::Table {
  std::vector<Slot> slots = std::vector<Slot>(kSlots);
  std::array<std::mutex, kLocks> locks;
};

WordCache::WordCache() : table_(std::make_unique<Table>()) {}
WordCache::~WordCache() = default;

bool WordCache::find(std::string_view piece, std::vector<std::int32_t>& out) const {
  if (piece.size() > kMaxPieceBytes) return false;
  const std::size_t index = std::hash<std::string_view>{}(piece) % kSlots;
  const std::lock_guard lock(table_->locks[index % kLocks]);
  const Slot& slot = table_->slots[index];
  if (!slot.holds(piece)) return false;
  out.insert(out.end(), slot.tokens.begin(), slot.tokens.begin() + slot.count);
  return true;
}

void WordCache::store(std::string_view piece, const std::int32_t* tokens, std::size_t count) {
  if (piece.size() > kMaxPieceBytes || count > kMaxTokens) return;
  const std::size_t index = std::hash<std::string_view>{}(piece) % kSlots;
  const std::lock_guard lock(table_->locks[index % kLocks]);
  Slot& slot = table_->slots[index];
  slot.length = static_cast<std::uint8_t>(piece.size());
  slot.count = static_cast<std::uint8_t>(count);
  std::copy(piece.begin(), piece.end(), slot.piece.begin());
  std::copy(tokens, tokens + count, slot.tokens.begin());
}

}  // namespace krait
