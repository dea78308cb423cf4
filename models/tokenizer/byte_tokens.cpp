#include "models/tokenizer/byte_tokens.h"

#include <algorithm>
#include <string>

namespace krait {

ByteTokens::ByteTokens(const Vocabulary& vocabulary) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < ids_.size(); ++byte) {
    const std::string name = {'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'};
    ids_[byte] = vocabulary.find(name).value_or(kMissing);
  }
}

bool ByteTokens::append(std::string_view text, std::vector<std::int32_t>& out) const {
  const auto id_of = [this](char byte) { return ids_[static_cast<std::uint8_t>(byte)]; };
  if (std::any_of(text.begin(), text.end(), [&](char byte) { return id_of(byte) == kMissing; })) return false;
  for (const char byte : text) out.push_back(id_of(byte));
  return true;
}

}  // namespace krait
