#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace krait {

/// The byte-level alphabet of GPT-2: each byte has one printable character, so that a vocabulary of any bytes can be
/// written in JSON. Printable Latin-1 bytes stand for themselves; the other 68 are U+0100 and up, in order.

/// The character of a byte, as UTF-8.
std::string_view byte_symbol(std::uint8_t byte);

/// Appends the characters of all bytes of `bytes`.
void append_byte_symbols(std::string_view bytes, std::string& out);

/// Appends the bytes that the characters of `token` stand for; a token with a character outside the alphabet (an added
/// token) is taken as the text that it is.
void append_symbol_bytes(std::string_view token, std::string& out);

}  // namespace krait
