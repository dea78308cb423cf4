#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "models/tokenizer/load_context.h"
#include "models/tokenizer/tokenizer_file.h"

namespace krait {

/// The vocabulary and how a piece of text becomes tokens of it. Immutable but for caches; thread-safe.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;
  /// Appends the tokens of one piece (valid UTF-8, not empty). Fails on a character that the vocabulary lacks, where
  /// the model has no unknown token for it.
  virtual Status tokenize(std::string_view piece, std::vector<std::int32_t>& out) const = 0;
  /// The same for a piece whose bytes stand for their characters of the byte alphabet; any bytes. A model that makes
  /// much of such pieces has a shorter way than to write them out.
  virtual Status tokenize_bytes(std::string_view piece, std::vector<std::int32_t>& out) const;
  [[nodiscard]] virtual const Vocabulary& vocabulary() const = 0;
  /// How many tokens the file lists; added tokens are numbered from here on.
  [[nodiscard]] virtual std::size_t size() const { return vocabulary().size(); }
};

/// Of tokenizer.json's `model`: BPE, Unigram. Takes the vocabulary and the merges out of `file`. Throws StartupError.
std::unique_ptr<TokenizerModel> make_model(TokenizerFile& file, const LoadContext& context);

/// The factories for one type each.
std::unique_ptr<TokenizerModel> make_bpe_model(TokenizerFile& file, const LoadContext& context);
std::unique_ptr<TokenizerModel> make_unigram_model(TokenizerFile& file, const LoadContext& context);

}  // namespace krait
