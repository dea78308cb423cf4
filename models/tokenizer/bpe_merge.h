#pragma once

#include <cstdint>
#include <vector>

#include "models/tokenizer/merge_table.h"

namespace krait {

/// Byte-pair encoding of one piece: while any two neighbours merge, merge the pair of lowest rank, the leftmost of
/// equals (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016). O(n log n) for n
/// tokens.
void merge_tokens(const MergeTable& merges, std::vector<std::int32_t>& tokens);

}  // namespace krait
