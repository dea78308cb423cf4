#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace krait {

/// Remembers the tokens of recent pieces: text repeats its words. Bounded by construction (each piece has one slot,
/// which a later one takes over) and safe for many threads (a lock per group of slots, held for a copy).
class WordCache {
 public:
  WordCache();
  ~WordCache();

  /// Appends the piece's tokens to `out`, if they are known.
  bool find(std::string_view piece, std::vector<std::int32_t>& out) const;
  void store(std::string_view piece, const std::int32_t* tokens, std::size_t count);

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace krait
