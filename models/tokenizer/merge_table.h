#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace krait {

/// What two neighbouring tokens become.
struct MergeResult {
  static constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t rank = kNoRank;  ///< lower merges first; kNoRank: the two do not merge
  std::int32_t id = -1;
};

/// Pairs of token ids to their merge; a flat hash table, because each step of BPE is one look-up.
class MergeTable {
 public:
  explicit MergeTable(std::size_t expected);
  /// A pair that is there already gets the new merge.
  void add(std::int32_t left, std::int32_t right, MergeResult merge);
  [[nodiscard]] MergeResult find(std::int32_t left, std::int32_t right) const {
    const Entry& entry = entries_[slot_of(key_of(left, right))];
    return entry.merge;
  }

 private:
  static constexpr std::uint64_t kFree = std::numeric_limits<std::uint64_t>::max();
  struct Entry {
    std::uint64_t key = kFree;
    MergeResult merge;
  };

  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const {
    std::size_t slot = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ULL) >> shift_);
    while (entries_[slot].key != key && entries_[slot].key != kFree) slot = (slot + 1) & (entries_.size() - 1);
    return slot;
  }

  std::vector<Entry> entries_;  ///< a power of two, at most half full
  int shift_;
};

}  // namespace krait
