#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/cache/disk/entry_key.h"

namespace krait {

/// Which entries a cache directory holds or will hold, and which goes first when there is no room. An entry's ancestors
/// are in it as long as the entry is. Plain data without files or locks.
class EntryCatalog {
 public:
  struct Entry {
    EntryKey parent;
    int blocks = 0;           ///< of the whole prefix
    int first_block = 0;      ///< of its own pages: where its parent ends
    std::uint64_t bytes = 0;  ///< of the file; 0: not written yet
    std::uint64_t used = 0;   ///< tick of the last use
    std::set<EntryKey> children{};
  };

  [[nodiscard]] const Entry* find(const EntryKey& key) const;
  /// Takes an entry in, without a file yet. False when it is there already, or its parent is not.
  bool add(const EntryKey& key, const EntryKey& parent, int blocks);
  /// Its file is there now.
  void stored(const EntryKey& key, std::uint64_t bytes);
  /// It and its ancestors were used.
  void touch(const EntryKey& key);
  /// Forgets an entry and all that follow it; returns their keys.
  std::vector<EntryKey> erase(const EntryKey& key);
  /// The one that was used longest ago among those with a file that no other entry needs.
  [[nodiscard]] std::optional<EntryKey> oldest_leaf() const;
  /// Of all files.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  void reorder(const EntryKey& key, Entry& entry, std::uint64_t used);

  std::map<EntryKey, Entry> entries_;
  std::set<std::pair<std::uint64_t, EntryKey>> leaves_;
  std::uint64_t clock_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace krait
