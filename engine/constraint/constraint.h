#pragma once

#include <cstdint>
#include <string>

namespace krait {

/// In which language a constraint is written. Each is xgrammar's dialect of it.
enum class ConstraintKind : std::uint8_t {
  kJsonSchema,     ///< text: a JSON schema
  kJsonObject,     ///< any JSON object; text is empty
  kRegex,          ///< text: a regular expression that the whole answer matches
  kEbnf,           ///< text: a GBNF-like grammar whose first rule is `root`
  kStructuralTag,  ///< text: xgrammar's structural tag, as JSON
};

/// What an answer must look like. Plain data: nobody but the grammar library reads `text`.
struct Constraint {
  ConstraintKind kind = ConstraintKind::kJsonObject;
  std::string text{};

  bool operator==(const Constraint&) const = default;
};

}  // namespace krait
