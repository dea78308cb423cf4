#pragma once

#include <cstddef>

#include "engine/constraint/constraint.h"
#include "kernels/result.h"

namespace krait {

/// What is refused before the grammar library sees it: text over `text_bytes`, text that is not UTF-8, NUL characters
/// (which would end the text early), and brackets nested deeper than `nesting`, because parsers recurse. In JSON the
/// brackets of the document are counted, and those in each string on their own, since a string may hold a regular
/// expression or a grammar.
[[nodiscard]] Status check_constraint_text(const Constraint& constraint, std::size_t text_bytes, int nesting);

}  // namespace krait
