#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/context_identity.h"

namespace krait {

/// Names an entry of the disk tier: a hash over identity, salt and all tokens up to the entry's end. All zero: no
/// entry, the start of a sequence.
struct EntryKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const EntryKey&) const = default;
  /// 32 hexadecimal digits.
  [[nodiscard]] std::string to_string() const;
};

/// The keys of the first block, the first two blocks, … of `tokens`; what is left of a block at the end has none.
std::vector<EntryKey> prefix_keys(const ContextIdentity& identity, const std::string& salt,
                                  std::span<const std::int32_t> tokens);

}  // namespace krait
