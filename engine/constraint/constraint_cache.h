#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <unordered_map>

#include "engine/constraint/constraint.h"
#include "engine/constraint/grammar_compiler.h"

namespace krait {

struct ConstraintHash {
  std::size_t operator()(const Constraint& constraint) const noexcept {
    return std::hash<std::string>()(constraint.text) * 8 + static_cast<std::size_t>(constraint.kind);
  }
};

/// Outcomes of compilations, refusals included, up to a number of bytes; the least recently used go first. Not
/// thread-safe.
class ConstraintCache {
 public:
  explicit ConstraintCache(std::size_t bytes) : limit_(bytes) {}

  [[nodiscard]] std::optional<GrammarCompiler::Compiled> find(const Constraint& constraint);
  /// Does nothing when it alone is over the limit.
  void put(const Constraint& constraint, const GrammarCompiler::Compiled& outcome);

 private:
  struct Entry {
    Constraint constraint;
    GrammarCompiler::Compiled outcome;
    std::size_t bytes = 0;
  };

  const std::size_t limit_;
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;  ///< the one used last is first
  std::unordered_map<Constraint, std::list<Entry>::iterator, ConstraintHash> index_;
};

}  // namespace krait
