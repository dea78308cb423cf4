#pragma once

#include <cstdint>
#include <vector>

#include "models/tokenizer/merge_table.h"

namespace krait {

/// Byte-pair encoding of one piece: while any two neighbours merge, merge the pair of lowest rank, the leftmost of
/// equals (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016). The piece is what
/// follows `begin` in `tokens`, which shrinks. O(n log n) for n tokens; no memory is taken for a short piece.
void merge_tokens(const MergeTable& merges, std::vector<std::int32_t>& tokens, std::size_t begin = 0);

}  // namespace krait
