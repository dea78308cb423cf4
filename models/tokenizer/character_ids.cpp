#include "models/tokenizer/character_ids.h"

#include "models/tokenizer/utf8.h"

namespace krait {

CharacterIds::CharacterIds(const Vocabulary& vocabulary) {
  for (std::int32_t id = 0; id < vocabulary.id_end(); ++id) {
    const auto token = vocabulary.token(id);
    if (!token || token->empty() || token->size() > 4) continue;
    std::size_t end = 0;
    const char32_t character = next_code_point(*token, end);
    if (end != token->size()) continue;
    if (character >= ids_.size()) ids_.resize(character + 1, kNone);
    ids_[character] = vocabulary.find(*token).value_or(kNone);
  }
}

}  // namespace krait
