#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace krait {

/// Tokens with their ids, both ways. All spellings lie in one string, because a quarter of a million small allocations
/// would be most of the load time.
class Vocabulary {
 public:
  /// Makes `token` the spelling of `id`; for a token that is there already, the later id counts (as in JSON objects).
  void add(std::string_view token, std::int32_t id);

  [[nodiscard]] std::optional<std::int32_t> find(std::string_view token) const;
  /// nullopt for an id that no token has. The view lives as long as nothing is added.
  [[nodiscard]] std::optional<std::string_view> token(std::int32_t id) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// One more than the largest id.
  [[nodiscard]] std::int32_t id_end() const { return static_cast<std::int32_t>(by_id_.size()); }

 private:
  struct Entry {
    std::size_t begin = 0;
    std::uint32_t length = 0;
    std::int32_t id = 0;
  };

  [[nodiscard]] std::string_view spelling(const Entry& entry) const {
    return std::string_view(text_).substr(entry.begin, entry.length);
  }
  /// Of the hash table: an entry, and enough of its hash to pass over most others without looking at their spelling.
  struct Slot {
    std::uint32_t entry = 0;  ///< index into entries_ plus one, 0 for a free slot
    std::uint32_t hash = 0;
  };

  /// The slot that holds the token or, if it is new, the free one where it belongs.
  [[nodiscard]] std::size_t slot_of(std::string_view token, std::uint32_t hash) const;
  void grow();

  std::string text_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;           ///< open addressing, at most half full
  std::vector<std::uint32_t> by_id_;  ///< index into entries_ plus one, 0 for no token
};

}  // namespace krait
