#include "models/tokenizer/merge_table.h"

#include <bit>

namespace krait {

MergeTable::MergeTable(std::size_t expected)
    : entries_(std::bit_ceil(2 * expected + 2)), shift_(64 - std::countr_zero(entries_.size())) {}

void MergeTable::add(std::int32_t left, std::int32_t right, MergeResult merge) {
  const std::uint64_t key = key_of(left, right);
  entries_[slot_of(key)] = {.key = key, .merge = merge};
}

}  // namespace krait
