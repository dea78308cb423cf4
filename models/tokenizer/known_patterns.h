#pragma once

#include <string_view>
#include <vector>

#include "models/tokenizer/regex.h"

namespace krait {

/// Appends all matches of one pattern in valid UTF-8, left to right: what Regex::find_all does, many times as fast.
using PatternScanner = void (*)(std::string_view text, std::vector<Span>& out);

/// The scanner written by hand for a pattern that many tokenizers share (GPT-2's, cl100k's, …), or null. Each is equal
/// to Oniguruma's matches of the pattern, which the tests check with every code point and with random text.
PatternScanner find_scanner(std::string_view pattern);

/// The patterns that have a scanner.
std::vector<std::string_view> known_patterns();

/// GPT-2's own split, which ByteLevel's `use_regex` means.
extern const char* const kGpt2Pattern;

}  // namespace krait
