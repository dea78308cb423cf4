#pragma once

#include <string_view>

namespace krait {

/// The double that the reference makes of a JSON number. It does not round to the nearest one: it takes as many digits
/// as fit into 64 bits and scales once by a power of ten. Scores of equal sums depend on the last bit. `text` is a
/// number as JSON defines it.
double score_from_text(std::string_view text);

}  // namespace krait
