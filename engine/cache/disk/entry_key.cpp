#include "engine/cache/disk/entry_key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstdio>

namespace krait {

std::string EntryKey::to_string() const {
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text.data();
}

std::vector<EntryKey> prefix_keys(const ContextIdentity& identity, const std::string& salt,
                                  std::span<const std::int32_t> tokens) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  const std::array<std::uint64_t, 3> head = {identity.model, identity.layout_hash(), salt.size()};
  XXH3_128bits_update(&state, head.data(), sizeof(head));
  XXH3_128bits_update(&state, salt.data(), salt.size());
  const auto block = static_cast<std::size_t>(identity.layout.block_size);
  std::vector<EntryKey> keys;
  keys.reserve(tokens.size() / block);
  for (std::size_t begin = 0; begin + block <= tokens.size(); begin += block) {
    const auto part = tokens.subspan(begin, block);
    XXH3_128bits_update(&state, part.data(), part.size_bytes());
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    keys.push_back({.high = hash.high64, .low = hash.low64});
  }
  return keys;
}

}  // namespace krait
