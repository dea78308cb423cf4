// The pipeline itself; what each step does is its own file's business.
#include "models/tokenizer/hf_tokenizer.h"

#include <algorithm>
#include <utility>

#include "models/tokenizer/utf8.h"

namespace krait {

namespace {

/// The end of a decoder: its text is collected.
class Collector : public DecoderStage {
 public:
  explicit Collector(std::string& text) : DecoderStage(nullptr), text_(text) {}
  void push(std::string_view part) override { text_ += part; }
  void finish() override {}

 private:
  std::string& text_;
};

/// The length of the first character.
std::size_t first_character(std::string_view text) {
  std::size_t pos = 0;
  if (!text.empty()) next_code_point(text, pos);
  return pos;
}

Encoding with_type(std::vector<std::int32_t> ids, std::int32_t type) {
  Encoding encoding{.ids = std::move(ids), .type_ids = {}};
  encoding.type_ids.assign(encoding.ids.size(), type);
  return encoding;
}

}  // namespace

Result<std::vector<std::int32_t>> HfTokenizer::encode(std::string_view text, EncodeOptions options) const {
  auto ids = encode_text(text);
  if (!ids.ok() || !parts_.post_processor) return ids;
  std::vector<Encoding> texts;
  texts.push_back(with_type(std::move(ids).value(), 0));
  return post_process(std::move(texts), options).ids;
}

Result<Encoding> HfTokenizer::encode_pair(std::string_view first, std::string_view second,
                                          EncodeOptions options) const {
  std::vector<Encoding> texts;
  for (const std::string_view text : {first, second}) {
    auto ids = encode_text(text);
    if (!ids.ok()) return std::move(ids).error();
    texts.push_back(with_type(std::move(ids).value(), texts.empty() ? 0 : 1));
  }
  return post_process(std::move(texts), options);
}

Encoding HfTokenizer::post_process(std::vector<Encoding> texts, EncodeOptions options) const {
  if (parts_.post_processor) texts = parts_.post_processor->process(std::move(texts), options.add_special_tokens);
  if (texts.size() == 1) return std::move(texts.front());
  Encoding joined;
  for (const Encoding& text : texts) joined.append(text);
  return joined;
}

Result<std::vector<std::int32_t>> HfTokenizer::encode_text(std::string_view text) const {
  if (!is_valid_utf8(text)) {
    return Error{.code = ErrorCode::kInvalidArgument, .message = "the text is not valid UTF-8", .field = {}};
  }
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  for (const Section& section : parts_.added.split_raw(text)) {
    if (section.token) {
      ids.push_back(*section.token);
      continue;
    }
    const std::size_t head = section.text.data() == text.data() ? first_character(text) : 0;
    if (Status status = encode_section(section.text, head, ids); !status.ok()) return std::move(status).error();
  }
  return ids;
}

Status HfTokenizer::encode_section(std::string_view text, std::size_t head, std::vector<std::int32_t>& ids) const {
  NormalizedText normalized;
  if (parts_.normalizer) {
    normalized = {.text = std::string(text), .head = head};
    if (Status status = parts_.normalizer->normalize(normalized); !status.ok()) return status;
    text = normalized.text;
    head = normalized.head;
  }
  for (const Section& section : parts_.added.split_normalized(text)) {
    if (section.token) {
      ids.push_back(*section.token);
      continue;
    }
    const auto offset = static_cast<std::size_t>(section.text.data() - text.data());
    const std::size_t rest = head > offset ? std::min(head - offset, section.text.size()) : 0;
    if (Status status = encode_plain(section.text, rest, ids); !status.ok()) return status;
  }
  return ok_status();
}

Status HfTokenizer::encode_plain(std::string_view text, std::size_t head, std::vector<std::int32_t>& ids) const {
  PreTokenizedText pieces(std::string(text), head);
  if (parts_.pre_tokenizer) {
    if (Status status = parts_.pre_tokenizer->apply(pieces); !status.ok()) return status;
  }
  for (const Span& piece : pieces.pieces) {
    const std::string_view view = pieces.view(piece);
    Status status = pieces.in_bytes ? parts_.model->tokenize_bytes(view, ids) : parts_.model->tokenize(view, ids);
    if (!status.ok()) return status;
  }
  return ok_status();
}

std::optional<std::string_view> HfTokenizer::spelling(std::int32_t id) const {
  const auto added = parts_.added.spelling(id);
  return added ? added : parts_.model->vocabulary().token(id);
}

std::string HfTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::string text;
  const auto decoder = parts_.decoder->stage(StageUse{}, std::make_unique<Collector>(text));
  for (const std::int32_t id : ids) {
    if (skip_special_tokens && parts_.added.is_skipped(id)) continue;
    if (const auto token = spelling(id)) decoder->push(*token);
  }
  decoder->finish();
  return text;
}

std::unique_ptr<DecodeStream> HfTokenizer::stream(bool skip_special_tokens) const {
  class Stream : public DecodeStream {
   public:
    Stream(const HfTokenizer& tokenizer, bool skip_special_tokens)
        : tokenizer_(tokenizer),
          skip_special_tokens_(skip_special_tokens),
          decoder_(tokenizer.parts_.decoder->stage({.fused = false, .streaming = true, .divisible = true},
                                                   std::make_unique<Collector>(text_))) {}
    std::string push(std::int32_t id) override {
      const bool skipped = skip_special_tokens_ && tokenizer_.parts_.added.is_skipped(id);
      if (const auto token = skipped ? std::nullopt : tokenizer_.spelling(id)) decoder_->push(*token);
      return std::exchange(text_, {});
    }
    std::string flush() override {
      decoder_->finish();
      return std::exchange(text_, {});
    }

   private:
    const HfTokenizer& tokenizer_;
    bool skip_special_tokens_;
    std::string text_;
    std::unique_ptr<DecoderStage> decoder_;
  };
  return std::make_unique<Stream>(*this, skip_special_tokens);
}

std::string HfTokenizer::token_bytes(std::int32_t id, bool skip_special_tokens) const {
  if (skip_special_tokens && parts_.added.is_skipped(id)) return {};
  const auto token = spelling(id);
  return token ? parts_.decoder->token_bytes(std::string(*token)) : std::string();
}

std::optional<std::int32_t> HfTokenizer::token_to_id(std::string_view token) const {
  const auto added = parts_.added.find(token);
  return added ? added : parts_.model->vocabulary().find(token);
}

std::optional<std::string> HfTokenizer::id_to_token(std::int32_t id) const {
  const auto token = spelling(id);
  if (!token) return std::nullopt;
  return std::string(*token);
}

std::int32_t HfTokenizer::vocab_size() const {
  return std::max(parts_.added.id_end(), parts_.model->vocabulary().id_end());
}

}  // namespace krait
