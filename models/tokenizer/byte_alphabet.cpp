// Bytes in three printable ranges keep their own code point; the rest are numbered from U+0100 on in order of the byte.
#include "models/tokenizer/byte_alphabet.h"

#include <array>

#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

constexpr char32_t kAlphabetEnd = 0x100 + 68;

struct Alphabet {
  std::array<std::string, 256> symbols;
  std::array<std::int16_t, kAlphabetEnd> bytes{};  ///< by code point; -1 for no byte

  Alphabet() {
    bytes.fill(-1);
    char32_t next_free = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char32_t symbol = printable ? byte : next_free++;
      append_code_point(symbol, symbols[byte]);
      bytes[symbol] = static_cast<std::int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::string_view byte_symbol(std::uint8_t byte) { return alphabet().symbols[byte]; }

void append_byte_symbols(std::string_view bytes, std::string& out) {
  const Alphabet& table = alphabet();
  for (const char byte : bytes) out.append(table.symbols[static_cast<std::uint8_t>(byte)]);
}

void append_symbol_bytes(std::string_view token, std::string& out) {
  const Alphabet& table = alphabet();
  const std::size_t start = out.size();
  for (std::size_t pos = 0; pos < token.size();) {
    const char32_t symbol = next_code_point(token, pos);
    const int byte = symbol < kAlphabetEnd ? table.bytes[symbol] : -1;
    if (byte < 0) {
      out.resize(start);
      out.append(token);
      return;
    }
    out.push_back(static_cast<char>(byte));
  }
}

}  // namespace krait
