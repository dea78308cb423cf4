#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/string_matcher.h"
#include "models/tokenizer/vocabulary.h"

namespace krait {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< and behind it
  bool normalized = false;   ///< searched for in normalized text, else in the text as it came
  bool special = false;      ///< left out of decoded text on request
};

/// A stretch of text: an added token, or plain text for the model.
struct Section {
  std::string_view text;
  std::optional<std::int32_t> token;
};

/// The tokens that are found whole in the text before anything else is done with it: special ones, and others that were
/// added to a vocabulary after its training.
class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer);

  /// Cuts text as it came at the tokens that are not normalized, or normalized text at those that are.
  [[nodiscard]] std::vector<Section> split_raw(std::string_view text) const { return split(text, raw_); }
  [[nodiscard]] std::vector<Section> split_normalized(std::string_view text) const { return split(text, normalized_); }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  [[nodiscard]] bool is_special(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < special_.size() && special_[static_cast<std::size_t>(id)];
  }

 private:
  [[nodiscard]] std::vector<Section> split(std::string_view text, const StringMatcher& matcher) const;

  std::vector<AddedToken> tokens_;
  StringMatcher raw_;         ///< its values index tokens_
  StringMatcher normalized_;  ///< over the tokens' normalized spellings
  Vocabulary vocabulary_;
  std::vector<bool> special_;
};

/// Reads tokenizer.json's `added_tokens`; throws StartupError.
std::vector<AddedToken> read_added_tokens(const nlohmann::json& file, const LoadContext& context);

}  // namespace krait
