#pragma once

#include <string>
#include <string_view>

namespace krait {

enum class NormalizationForm { kNfc, kNfd, kNfkc, kNfkd };

/// Unicode normalization (UAX #15), in time linear in the text, up to a sort of each run of combining marks.
std::string to_normalization_form(std::string_view text, NormalizationForm form);

}  // namespace krait
