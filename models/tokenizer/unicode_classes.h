#pragma once

namespace krait {

/// The White_Space property, which `\s` and Rust's char::is_whitespace mean.
bool is_white_space(char32_t c);
/// General categories Nd, Nl and No (Rust's char::is_numeric).
bool is_numeric(char32_t c);
/// ASCII punctuation and symbols, and the general categories P*.
bool is_punctuation(char32_t c);
/// What `\w` matches: letters, marks, decimal and letter numbers, connectors and joiners.
bool is_word(char32_t c);

}  // namespace krait
