#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace krait {

class Tokenizer;

/// What a grammar must know of the tokens.
struct ConstraintVocabulary {
  /// The bytes that each token id adds to the text. Empty for a token without text (special tokens, padding): no
  /// grammar of text allows it, only a structural tag that names the token's id.
  std::vector<std::string> token_bytes;
  int vocab_size = 0;                    ///< width of the logits; ids from token_bytes.size() on are never allowed
  std::vector<std::int32_t> end_tokens;  ///< allowed once the answer is complete, and not before
};

/// `vocab_size` is that of the logits, which may be padded above the tokenizer's. End tokens outside of it are left
/// out.
ConstraintVocabulary make_constraint_vocabulary(const Tokenizer& tokenizer, int vocab_size,
                                                std::span<const std::int32_t> end_tokens);

}  // namespace krait
