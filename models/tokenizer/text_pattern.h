#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/tokenizer/regex.h"

namespace krait {

/// What a Replace looks for: {"String": …} or {"Regex": …}. Immutable; searching is thread-safe.
class TextPattern {
 public:
  /// `kind` is the component, for errors. Throws StartupError.
  TextPattern(const nlohmann::json& pattern, const std::string& kind, const LoadContext& context);

  /// Appends all matches, left to right, without overlap; none in an empty text. Fails when a regular expression takes
  /// absurdly many steps.
  Status find_all(std::string_view text, std::vector<Span>& out) const;

  /// The string that is looked for; nullopt for a regular expression, and for the empty string, which matches between
  /// all characters.
  [[nodiscard]] const std::optional<std::string>& literal() const { return literal_; }

 private:
  std::optional<std::string> literal_;
  std::optional<Regex> regex_;
};

}  // namespace krait
