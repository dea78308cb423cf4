#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace krait {

/// How the letters of a piece are to be read: as they are, or each byte as its character of the byte alphabet.
enum class PieceForm : std::uint8_t { kText, kBytes };

/// Remembers the tokens of recent pieces: text repeats its words. Bounded by construction (each piece has one slot,
/// which a later one takes over) and safe for many threads: nobody waits, a slot that another thread holds at the
/// moment counts as a miss.
class WordCache {
 public:
  /// Longer pieces repeat too rarely to be worth the room.
  static constexpr std::size_t kMaxPieceBytes = 48;

  WordCache();
  ~WordCache();

  /// Appends the piece's tokens to `out`, if they are known.
  bool find(std::string_view piece, PieceForm form, std::vector<std::int32_t>& out) const;
  void store(std::string_view piece, PieceForm form, const std::int32_t* tokens, std::size_t count);

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

}  // namespace krait
