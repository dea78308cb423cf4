#include "engine/constraint/constraint_vocabulary.h"

#include <algorithm>

#include "models/tokenizer/tokenizer.h"

namespace krait {

ConstraintVocabulary make_constraint_vocabulary(const Tokenizer& tokenizer, int vocab_size,
                                                std::span<const std::int32_t> end_tokens) {
  ConstraintVocabulary vocabulary{.token_bytes = {}, .vocab_size = vocab_size, .end_tokens = {}};
  const int with_text = std::min(static_cast<int>(tokenizer.vocab_size()), vocab_size);
  vocabulary.token_bytes.reserve(static_cast<std::size_t>(with_text));
  for (std::int32_t id = 0; id < with_text; ++id) {
    vocabulary.token_bytes.push_back(tokenizer.token_bytes(id, /*skip_special_tokens=*/true));
  }
  for (const std::int32_t token : end_tokens) {
    const auto& known = vocabulary.end_tokens;
    if (token >= 0 && token < vocab_size && std::find(known.begin(), known.end(), token) == known.end()) {
      vocabulary.end_tokens.push_back(token);
    }
  }
  return vocabulary;
}

}  // namespace krait
