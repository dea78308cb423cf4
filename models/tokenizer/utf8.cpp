// One function, part_at, knows what a character is; validity, repair and streaming all ask it, so they cannot disagree.
#include "models/tokenizer/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace krait {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::uint8_t byte_at(std::string_view text, std::size_t pos) { return static_cast<std::uint8_t>(text[pos]); }

/// How long the character is that this byte starts; 0 when none does.
std::size_t sequence_length(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/// Whether `byte` may stand at `index` (1 or more) of a character that starts with `lead`. The second byte is where
/// overlong forms, surrogates and values above U+10FFFF show.
bool may_continue(std::uint8_t lead, std::size_t index, std::uint8_t byte) {
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  if (index == 1) {
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  return byte >= low && byte <= high;
}

/// The bytes at `pos` as far as they are, or may become, one character.
struct Part {
  std::size_t length = 0;  ///< bytes that belong together: at least 1
  bool complete = false;   ///< a whole character
  bool cut = false;        ///< the text ended inside it
};

Part part_at(std::string_view text, std::size_t pos) {
  const std::uint8_t lead = byte_at(text, pos);
  const std::size_t want = sequence_length(lead);
  if (want == 0) return {.length = 1};
  std::size_t have = 1;
  while (have < want && pos + have < text.size() && may_continue(lead, have, byte_at(text, pos + have))) ++have;
  return {.length = have, .complete = have == want, .cut = have < want && pos + have == text.size()};
}

/// The end of the run of ASCII that starts at `pos`.
std::size_t skip_ascii(std::string_view text, std::size_t pos) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;
  for (; pos + 8 <= text.size(); pos += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + pos, 8);
    if ((word & kHighBits) != 0) break;
  }
  while (pos < text.size() && byte_at(text, pos) < 0x80) ++pos;
  return pos;
}

}  // namespace

bool is_ascii(std::string_view text) { return skip_ascii(text, 0) == text.size(); }

bool is_valid_utf8(std::string_view text) {
  for (std::size_t pos = skip_ascii(text, 0); pos < text.size(); pos = skip_ascii(text, pos)) {
    const Part part = part_at(text, pos);
    if (!part.complete) return false;
    pos += part.length;
  }
  return true;
}

char32_t next_code_point(std::string_view text, std::size_t& pos) {
  const std::uint8_t lead = byte_at(text, pos);
  const std::size_t length = std::max<std::size_t>(sequence_length(lead), 1);
  if (length == 1) {
    ++pos;
    return lead;
  }
  char32_t value = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length && pos + i < text.size(); ++i)
    value = (value << 6) | (byte_at(text, pos + i) & 0x3FU);
  pos = std::min(pos + length, text.size());
  return value;
}

std::size_t previous_character(std::string_view text, std::size_t pos) {
  --pos;
  while (pos > 0 && (byte_at(text, pos) & 0xC0U) == 0x80U) --pos;
  return pos;
}

void append_code_point(char32_t code_point, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<std::uint8_t>(byte))); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

std::size_t append_repaired(std::string_view bytes, Tail tail, std::string& out) {
  std::size_t pos = 0;
  while (pos < bytes.size()) {
    const std::size_t ascii_end = skip_ascii(bytes, pos);
    out.append(bytes.substr(pos, ascii_end - pos));
    pos = ascii_end;
    if (pos == bytes.size()) break;
    const Part part = part_at(bytes, pos);
    if (part.cut && tail == Tail::kMayContinue) break;
    out.append(part.complete ? bytes.substr(pos, part.length) : kReplacement);
    pos += part.length;
  }
  return pos;
}

}  // namespace krait
