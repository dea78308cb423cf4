// A direct-mapped table: no list to keep in order, no entry to free, and a miss costs the same as a hit. Slots hold
// their bytes in place, so that looking one up touches one or two cache lines.
#include "models/tokenizer/word_cache.h"

#include <array>
#include <atomic>
#include <cstring>

namespace krait {
namespace {

constexpr std::size_t kSlots = 1U << 15;
/// With these many a slot takes 100 bytes, and the cache three megabytes.
constexpr std::size_t kMaxTokens = 12;

struct Slot {
  std::atomic_flag held;    ///< taken for a copy, by one thread at a time
  std::uint8_t length = 0;  ///< 0 for a free slot
  std::uint8_t count = 0;
  PieceForm form = PieceForm::kText;
  std::array<char, WordCache::kMaxPieceBytes> piece;
  std::array<std::int32_t, kMaxTokens> tokens;

  [[nodiscard]] bool holds(std::string_view text, PieceForm text_form) const {
    return length == text.size() && form == text_form && std::memcmp(piece.data(), text.data(), length) == 0;
  }
};

/// A slot, unless another thread has it.
class Hold {
 public:
  explicit Hold(Slot& slot) : slot_(slot), held_(!slot.held.test_and_set(std::memory_order_acquire)) {}
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() {
    if (held_) slot_.held.clear(std::memory_order_release);
  }
  explicit operator bool() const { return held_; }

 private:
  Slot& slot_;
  bool held_;
};

/// Eight bytes at a time, multiplied and folded. Only speed hangs on it: equal slots are compared in full.
std::size_t slot_of(std::string_view piece) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;
  std::uint64_t hash = piece.size();
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * kOdd;
    hash ^= hash >> 32;
  };
  const char* at = piece.data();
  std::size_t left = piece.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    mix(word);
  }
  std::uint64_t word = 0;
  std::memcpy(&word, at, left);
  mix(word);
  return (hash * kOdd) >> 49;
}
static_assert(kSlots == 1U << (64 - 49));

}  // namespace

struct WordCache::Table {
  std::array<Slot, kSlots> slots;
};

WordCache::WordCache() : table_(std::make_unique<Table>()) {}
WordCache::~WordCache() = default;

bool WordCache::find(std::string_view piece, PieceForm form, std::vector<std::int32_t>& out) const {
  if (piece.size() > kMaxPieceBytes) return false;
  Slot& slot = table_->slots[slot_of(piece)];
  const Hold hold(slot);
  if (!hold || !slot.holds(piece, form)) return false;
  out.insert(out.end(), slot.tokens.begin(), slot.tokens.begin() + slot.count);
  return true;
}

void WordCache::store(std::string_view piece, PieceForm form, const std::int32_t* tokens, std::size_t count) {
  if (piece.size() > kMaxPieceBytes || count > kMaxTokens) return;
  Slot& slot = table_->slots[slot_of(piece)];
  const Hold hold(slot);
  if (!hold) return;
  slot.length = static_cast<std::uint8_t>(piece.size());
  slot.count = static_cast<std::uint8_t>(count);
  slot.form = form;
  std::memcpy(slot.piece.data(), piece.data(), piece.size());
  std::memcpy(slot.tokens.data(), tokens, count * sizeof(std::int32_t));
}

}  // namespace krait
