#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/utf8.h"

namespace krait {

IncrementalDetokenizer::IncrementalDetokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), skip_special_tokens_(skip_special_tokens) {}

std::string IncrementalDetokenizer::push(std::int32_t id) {
  pending_ += tokenizer_->token_bytes(id, skip_special_tokens_);
  std::string text;
  pending_.erase(0, append_repaired(pending_, Tail::kMayContinue, text));
  return text;
}

std::string IncrementalDetokenizer::flush() {
  std::string text;
  append_repaired(pending_, Tail::kFinal, text);
  pending_.clear();
  return text;
}

}  // namespace krait
