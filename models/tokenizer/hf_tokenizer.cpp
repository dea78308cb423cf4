// The pipeline itself; what each step does is its own file's business.
#include "models/tokenizer/hf_tokenizer.h"

#include <algorithm>

#include "models/tokenizer/utf8.h"

namespace krait {

Result<std::vector<std::int32_t>> HfTokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (!is_valid_utf8(text)) {
    return Error{.code = ErrorCode::kInvalidArgument, .message = "the text is not valid UTF-8", .field = {}};
  }
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  for (const Section& section : parts_.added.split_raw(text)) {
    if (section.token) {
      ids.push_back(*section.token);
    } else if (Status status = encode_section(section.text, ids); !status.ok()) {
      return std::move(status).error();
    }
  }
  if (options.add_special_tokens && parts_.post_processor) ids = parts_.post_processor->process(std::move(ids));
  return ids;
}

Status HfTokenizer::encode_section(std::string_view text, std::vector<std::int32_t>& ids) const {
  std::string storage;
  if (parts_.normalizer) {
    storage = parts_.normalizer->normalize(std::string(text));
    text = storage;
  }
  for (const Section& section : parts_.added.split_normalized(text)) {
    if (section.token) {
      ids.push_back(*section.token);
    } else if (Status status = encode_plain(section.text, ids); !status.ok()) {
      return status;
    }
  }
  return ok_status();
}

Status HfTokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
  PreTokenizedText pieces{std::string(text)};
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
  const auto added = parts_.added.vocabulary().token(id);
  return added ? added : parts_.model->vocabulary().token(id);
}

std::string HfTokenizer::join_bytes(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (skip_special_tokens && is_special(id)) continue;
    if (const auto token = spelling(id)) tokens.emplace_back(*token);
  }
  std::string text;
  for (const std::string& part : parts_.decoder->decode_chain(std::move(tokens))) text += part;
  return text;
}

std::string HfTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::string text;
  append_repaired(join_bytes(ids, skip_special_tokens), Tail::kFinal, text);
  return text;
}

std::string HfTokenizer::token_bytes(std::int32_t id, bool skip_special_tokens) const {
  return join_bytes(std::span(&id, 1), skip_special_tokens);
}

std::optional<std::int32_t> HfTokenizer::token_to_id(std::string_view token) const {
  const auto added = parts_.added.vocabulary().find(token);
  return added ? added : parts_.model->vocabulary().find(token);
}

std::optional<std::string> HfTokenizer::id_to_token(std::int32_t id) const {
  const auto token = spelling(id);
  if (!token) return std::nullopt;
  return std::string(*token);
}

std::int32_t HfTokenizer::vocab_size() const {
  return std::max(parts_.added.vocabulary().id_end(), parts_.model->vocabulary().id_end());
}

}  // namespace krait
