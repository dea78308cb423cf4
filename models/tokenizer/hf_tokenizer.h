#pragma once

#include "models/tokenizer/added_tokens.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/model.h"
#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/post_processor.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/tokenizer.h"

namespace krait {

/// What a `tokenizer.json` is made of; a null pointer is a step that the file leaves out.
struct TokenizerParts {
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenizerModel> model;
  std::unique_ptr<PostProcessor> post_processor;
  std::unique_ptr<Decoder> decoder;
  AddedTokens added;
  std::vector<std::string> notes;  ///< see Tokenizer::notes
};

/// The pipeline of Hugging Face's `tokenizers`: added tokens are cut out of the text, what lies between is normalized,
/// cut at the added tokens that are searched for in normalized text, split, tokenized and post-processed.
class HfTokenizer : public Tokenizer {
 public:
  explicit HfTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] Result<std::vector<std::int32_t>> encode(std::string_view text, EncodeOptions options) const override;
  /// Two texts at once, with the number of the text for each token.
  [[nodiscard]] Result<Encoding> encode_pair(std::string_view first, std::string_view second,
                                             EncodeOptions options) const;
  [[nodiscard]] std::unique_ptr<DecodeStream> stream(bool skip_special_tokens) const override;
  [[nodiscard]] std::vector<std::string> notes() const override { return parts_.notes; }
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const override;
  [[nodiscard]] std::string token_bytes(std::int32_t id, bool skip_special_tokens) const override;
  [[nodiscard]] std::optional<std::int32_t> token_to_id(std::string_view token) const override;
  [[nodiscard]] std::optional<std::string> id_to_token(std::int32_t id) const override;
  [[nodiscard]] bool is_special(std::int32_t id) const override { return parts_.added.is_special(id); }
  [[nodiscard]] std::int32_t vocab_size() const override;

 private:
  /// The tokens of a text, without any post-processing.
  [[nodiscard]] Result<std::vector<std::int32_t>> encode_text(std::string_view text) const;
  /// Normalizes a section, cuts it at normalized added tokens, and appends the tokens of all of it. `head` is
  /// NormalizedText's.
  Status encode_section(std::string_view text, std::size_t head, std::vector<std::int32_t>& ids) const;
  /// Appends the tokens of text that holds no added token.
  Status encode_plain(std::string_view text, std::size_t head, std::vector<std::int32_t>& ids) const;
  [[nodiscard]] Encoding post_process(std::vector<Encoding> texts, EncodeOptions options) const;
  [[nodiscard]] std::optional<std::string_view> spelling(std::int32_t id) const;

  TokenizerParts parts_;
};

}  // namespace krait
