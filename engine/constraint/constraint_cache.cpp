#include "engine/constraint/constraint_cache.h"

namespace krait {
namespace {

/// The text is in the list and in the index.
std::size_t bytes_of(const Constraint& constraint, const GrammarCompiler::Compiled& outcome) {
  const std::size_t result = outcome.ok() ? (*outcome)->bytes() : outcome.error().message.size();
  return 2 * (sizeof(Constraint) + constraint.text.size()) + result;
}

}  // namespace

std::optional<GrammarCompiler::Compiled> ConstraintCache::find(const Constraint& constraint) {
  const auto found = index_.find(constraint);
  if (found == index_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->outcome;
}

void ConstraintCache::put(const Constraint& constraint, const GrammarCompiler::Compiled& outcome) {
  const std::size_t bytes = bytes_of(constraint, outcome);
  if (bytes > limit_ || index_.contains(constraint)) return;
  while (bytes_ + bytes > limit_) {
    bytes_ -= entries_.back().bytes;
    index_.erase(entries_.back().constraint);
    entries_.pop_back();
  }
  entries_.push_front({.constraint = constraint, .outcome = outcome, .bytes = bytes});
  index_.emplace(constraint, entries_.begin());
  bytes_ += bytes;
}

}  // namespace krait
