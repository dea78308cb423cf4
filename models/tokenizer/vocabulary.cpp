// Open addressing with linear probing; entries never move, so a slot is one index.
#include "models/tokenizer/vocabulary.h"

#include <functional>
#include <utility>

namespace krait {
namespace {

std::uint32_t hash_of(std::string_view token) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(token));
}

}  // namespace

std::size_t Vocabulary::slot_of(std::string_view token, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const Slot& found = slots_[slot];
    if (found.entry == 0 || (found.hash == hash && spelling(entries_[found.entry - 1]) == token)) return slot;
  }
}

void Vocabulary::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.empty() ? 1024 : slots_.size() * 2));
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& moved : old) {
    if (moved.entry == 0) continue;
    std::size_t slot = moved.hash & mask;
    while (slots_[slot].entry != 0) slot = (slot + 1) & mask;
    slots_[slot] = moved;
  }
}

void Vocabulary::add(std::string_view token, std::int32_t id) {
  if (2 * (entries_.size() + 1) > slots_.size()) grow();
  const std::uint32_t hash = hash_of(token);
  Slot& slot = slots_[slot_of(token, hash)];
  if (slot.entry == 0) {
    entries_.push_back({.begin = text_.size(), .length = static_cast<std::uint32_t>(token.size()), .id = id});
    text_.append(token);
    slot = {.entry = static_cast<std::uint32_t>(entries_.size()), .hash = hash};
  }
  entries_[slot.entry - 1].id = id;
  const auto index = static_cast<std::size_t>(id);
  if (index >= by_id_.size()) by_id_.resize(index + 1, 0);
  by_id_[index] = slot.entry;
}

std::optional<std::int32_t> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t found = slots_[slot_of(token, hash_of(token))].entry;
  if (found == 0) return std::nullopt;
  return entries_[found - 1].id;
}

std::optional<std::string_view> Vocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= id_end() || by_id_[static_cast<std::size_t>(id)] == 0) return std::nullopt;
  return spelling(entries_[by_id_[static_cast<std::size_t>(id)] - 1]);
}

}  // namespace krait
