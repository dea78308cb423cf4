#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace krait {

/// Whether the bytes are UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

bool is_ascii(std::string_view text);

/// The character at `pos`, which moves behind it. The text must be valid UTF-8 and `pos` at the start of a character.
char32_t next_code_point(std::string_view text, std::size_t& pos);

/// The start of the last character before `pos`, which is not 0, of valid UTF-8.
std::size_t previous_character(std::string_view text, std::size_t pos);

void append_code_point(char32_t code_point, std::string& out);

enum class Tail {
  kMayContinue,  ///< more bytes can follow: an unfinished character at the end is left alone
  kFinal,        ///< the end: an unfinished character becomes U+FFFD
};

/// Appends `bytes` to `out` with each maximal invalid part replaced by one U+FFFD (Unicode 15, section 3.9, "maximal
/// subparts"; the rule of the WHATWG and of Rust's from_utf8_lossy). Returns how many bytes are done: all of them for
/// Tail::kFinal.
std::size_t append_repaired(std::string_view bytes, Tail tail, std::string& out);

}  // namespace krait
