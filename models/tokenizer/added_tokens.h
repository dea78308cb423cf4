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
  /// A token that the model's vocabulary has keeps its id there; the others are numbered in order from `next_id` on, as
  /// the reference does, whatever id the file gives them. Throws StartupError when a normalizer refuses a token.
  AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer* normalizer, const Vocabulary& model,
              std::int32_t next_id, const LoadContext& context);

  /// Cuts text as it came at the tokens that are not normalized, or normalized text at those that are.
  [[nodiscard]] std::vector<Section> split_raw(std::string_view text) const { return split(text, raw_); }
  [[nodiscard]] std::vector<Section> split_normalized(std::string_view text) const { return split(text, normalized_); }

  [[nodiscard]] std::optional<std::int32_t> find(std::string_view content) const { return vocabulary_.find(content); }
  /// What the token is called: its content, or what the normalizer makes of it, because that is what the decoder
  /// expects; nullopt for an id that is not an added token's.
  [[nodiscard]] std::optional<std::string_view> spelling(std::int32_t id) const;
  [[nodiscard]] std::int32_t id_end() const { return vocabulary_.id_end(); }
  /// Whether decoding leaves the token out on request. A special token whose spelling the normalizer changes is not.
  [[nodiscard]] bool is_skipped(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < skipped_.size() && skipped_[static_cast<std::size_t>(id)];
  }
  /// The tokens whose id in the file is not the one they got, for the log.
  [[nodiscard]] const std::vector<std::string>& renumbered() const { return renumbered_; }
  [[nodiscard]] bool is_special(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < special_.size() && special_[static_cast<std::size_t>(id)];
  }

 private:
  [[nodiscard]] std::vector<Section> split(std::string_view text, const StringMatcher& matcher) const;

  void add(AddedToken token, const Normalizer* normalizer, const LoadContext& context);
  /// Builds the matchers and flags once all tokens are there.
  void index();

  std::vector<AddedToken> tokens_;
  std::vector<std::string> normalized_contents_;  ///< one for each of tokens_
  StringMatcher raw_;                             ///< its values index tokens_
  StringMatcher normalized_;                      ///< over the tokens' normalized spellings
  Vocabulary vocabulary_;
  std::vector<std::int32_t> by_id_;  ///< index into tokens_, or -1
  std::vector<bool> special_;
  std::vector<bool> skipped_;
  std::vector<std::string> renumbered_;
};

/// Reads tokenizer.json's `added_tokens`; throws StartupError.
std::vector<AddedToken> read_added_tokens(const nlohmann::json& file, const LoadContext& context);

}  // namespace krait
