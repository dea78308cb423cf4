#include "models/tokenizer/unicode_normalization.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "models/tokenizer/unicode_tables.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

std::vector<utf8proc_int32_t> decompose(std::string_view text, int options) {
  std::vector<utf8proc_int32_t> result;
  result.reserve(text.size());
  utf8proc_int32_t buffer[32];  // the longest decomposition is 18 characters
  int boundary = 0;
  for (std::size_t pos = 0; pos < text.size();) {
    const auto c = static_cast<utf8proc_int32_t>(next_code_point(text, pos));
    const auto count = utf8proc_decompose_char(c, buffer, 32, static_cast<utf8proc_option_t>(options), &boundary);
    for (utf8proc_ssize_t i = 0; i < count; ++i) result.push_back(buffer[i]);
  }
  return result;
}

/// Canonical order: each run of combining marks stably sorted by class. utf8proc has this too, but as an insertion
/// sort, which a request with a long run of marks would make quadratic.
void order_marks(std::vector<utf8proc_int32_t>& text) {
  const auto is_mark = [](utf8proc_int32_t c) { return combining_class(c) != 0; };
  auto run = std::find_if(text.begin(), text.end(), is_mark);
  while (run != text.end()) {
    const auto end = std::find_if_not(run, text.end(), is_mark);
    std::stable_sort(run, end, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    run = std::find_if(end, text.end(), is_mark);
  }
}

void append_normalized(std::string_view text, NormalizationForm form, std::string& out) {
  const bool compatible = form == NormalizationForm::kNfkc || form == NormalizationForm::kNfkd;
  const bool composed = form == NormalizationForm::kNfc || form == NormalizationForm::kNfkc;
  std::vector<utf8proc_int32_t> characters =
      decompose(text, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  order_marks(characters);
  auto length = static_cast<utf8proc_ssize_t>(characters.size());
  if (composed) {
    length = utf8proc_normalize_utf32(characters.data(), length,
                                      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  }
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    append_code_point(static_cast<char32_t>(characters[static_cast<std::size_t>(i)]), out);
  }
}

}  // namespace

std::string to_normalization_form(std::string_view text, NormalizationForm form) {
  if (is_ascii(text)) return std::string(text);
  std::string result;
  result.reserve(text.size());
  // A character that the reference's tables lack stands for itself, and nothing composes or moves across it.
  std::size_t done = 0;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    if (c < 0x300 || !in_ranges(unicode_tables().not_normalized, c)) continue;
    append_normalized(text.substr(done, begin - done), form, result);
    result.append(text.substr(begin, pos - begin));
    done = pos;
  }
  append_normalized(text.substr(done), form, result);
  return result;
}

}  // namespace krait
