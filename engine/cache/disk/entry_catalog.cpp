#include "engine/cache/disk/entry_catalog.h"

namespace krait {

const EntryCatalog::Entry* EntryCatalog::find(const EntryKey& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

/// Keeps the order of the leaves true after the entry has changed.
void EntryCatalog::reorder(const EntryKey& key, Entry& entry, std::uint64_t used) {
  leaves_.erase({entry.used, key});
  entry.used = used;
  if (entry.bytes > 0 && entry.children.empty()) leaves_.insert({used, key});
}

bool EntryCatalog::add(const EntryKey& key, const EntryKey& parent, int blocks) {
  const auto before = entries_.find(parent);
  const bool has_parent = before != entries_.end();
  if (key == EntryKey{} || entries_.contains(key) || (parent != EntryKey{} && !has_parent)) return false;
  const int first_block = has_parent ? before->second.blocks : 0;
  if (blocks <= first_block) return false;
  entries_.emplace(key, Entry{.parent = parent, .blocks = blocks, .first_block = first_block, .used = ++clock_});
  if (has_parent) {
    before->second.children.insert(key);
    reorder(parent, before->second, before->second.used);
  }
  return true;
}

void EntryCatalog::stored(const EntryKey& key, std::uint64_t bytes) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  bytes_ += bytes - found->second.bytes;
  found->second.bytes = bytes;
  reorder(key, found->second, found->second.used);
}

void EntryCatalog::touch(const EntryKey& key) {
  ++clock_;
  for (auto found = entries_.find(key); found != entries_.end(); found = entries_.find(found->second.parent)) {
    reorder(found->first, found->second, clock_);
  }
}

std::vector<EntryKey> EntryCatalog::erase(const EntryKey& key) {
  const auto first = entries_.find(key);
  if (first == entries_.end()) return {};
  if (const auto parent = entries_.find(first->second.parent); parent != entries_.end()) {
    parent->second.children.erase(key);
    reorder(parent->first, parent->second, parent->second.used);
  }
  std::vector<EntryKey> erased{key};
  for (std::size_t next = 0; next < erased.size(); ++next) {
    const auto found = entries_.find(erased[next]);
    erased.insert(erased.end(), found->second.children.begin(), found->second.children.end());
    leaves_.erase({found->second.used, found->first});
    bytes_ -= found->second.bytes;
    entries_.erase(found);
  }
  return erased;
}

std::optional<EntryKey> EntryCatalog::oldest_leaf() const {
  if (leaves_.empty()) return std::nullopt;
  return leaves_.begin()->second;
}

}  // namespace krait
