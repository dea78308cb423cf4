// Open addressing with linear probing; entries never move, so a slot is one index.
#include "models/tokenizer/vocabulary.h"

#include <functional>

namespace krait {

std::size_t Vocabulary::slot_of(std::string_view token) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>{}(token)&mask;
  while (slots_[slot] != 0 && spelling(entries_[slots_[slot] - 1]) != token) slot = (slot + 1) & mask;
  return slot;
}

void Vocabulary::grow() {
  slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    slots_[slot_of(spelling(entries_[i]))] = static_cast<std::uint32_t>(i + 1);
  }
}

void Vocabulary::add(std::string_view token, std::int32_t id) {
  if (2 * (entries_.size() + 1) > slots_.size()) grow();
  const std::size_t slot = slot_of(token);
  if (slots_[slot] == 0) {
    entries_.push_back({.begin = text_.size(), .length = static_cast<std::uint32_t>(token.size()), .id = id});
    text_.append(token);
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  }
  entries_[slots_[slot] - 1].id = id;
  const auto index = static_cast<std::size_t>(id);
  if (index >= by_id_.size()) by_id_.resize(index + 1, 0);
  by_id_[index] = slots_[slot];
}

std::optional<std::int32_t> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t found = slots_[slot_of(token)];
  if (found == 0) return std::nullopt;
  return entries_[found - 1].id;
}

std::optional<std::string_view> Vocabulary::token(std::int32_t id) const {
  if (id < 0 || id >= id_end() || by_id_[static_cast<std::size_t>(id)] == 0) return std::nullopt;
  return spelling(entries_[by_id_[static_cast<std::size_t>(id)] - 1]);
}

}  // namespace krait
