#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// For tokenizers whose tokens are bytes, whatever stands around them.
class ByteStream : public DecodeStream {
 public:
  ByteStream(const Tokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

  std::string push(std::int32_t id) override {
    pending_ += tokenizer_.token_bytes(id, skip_special_tokens_);
    return pass(Tail::kMayContinue);
  }
  std::string flush() override { return pass(Tail::kFinal); }

 private:
  std::string pass(Tail tail) {
    std::string text;
    pending_.erase(0, append_repaired(pending_, tail, text));
    return text;
  }

  const Tokenizer& tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;  ///< bytes of an unfinished character
};

}  // namespace

std::unique_ptr<DecodeStream> Tokenizer::stream(bool skip_special_tokens) const {
  return std::make_unique<ByteStream>(*this, skip_special_tokens);
}

IncrementalDetokenizer::IncrementalDetokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)),
      skip_special_tokens_(skip_special_tokens),
      stream_(tokenizer_->stream(skip_special_tokens)) {}

std::string IncrementalDetokenizer::push(std::int32_t id) { return stream_->push(id); }

std::string IncrementalDetokenizer::flush() {
  std::string text = stream_->flush();
  stream_ = tokenizer_->stream(skip_special_tokens_);
  return text;
}

}  // namespace krait
