// Follows the reference's order of steps closely, odd corners included: a token whose white space was already taken by
// its left neighbour still counts, and one that is refused as part of a word is skipped whole.
#include "models/tokenizer/added_tokens.h"

#include <algorithm>

#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// The start of the last character before `pos`, which is not 0.
std::size_t previous_character(std::string_view text, std::size_t pos) {
  --pos;
  while (pos > 0 && (static_cast<std::uint8_t>(text[pos]) & 0xC0U) == 0x80U) --pos;
  return pos;
}

bool word_before(std::string_view text, std::size_t pos) {
  if (pos == 0) return false;
  std::size_t at = previous_character(text, pos);
  return is_word(next_code_point(text, at));
}

bool word_at(std::string_view text, std::size_t pos) {
  return pos < text.size() && is_word(next_code_point(text, pos));
}

/// Where the white space that ends at `pos` begins; never before `limit`.
std::size_t space_begin(std::string_view text, std::size_t pos, std::size_t limit) {
  while (pos > limit) {
    const std::size_t begin = previous_character(text, pos);
    std::size_t at = begin;
    if (!is_white_space(next_code_point(text, at))) break;
    pos = begin;
  }
  return pos;
}

std::size_t space_end(std::string_view text, std::size_t pos) {
  while (pos < text.size()) {
    std::size_t next = pos;
    if (!is_white_space(next_code_point(text, next))) break;
    pos = next;
  }
  return pos;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer) : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    vocabulary_.add(token.content, token.id);
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= special_.size()) special_.resize(id + 1, false);
    special_[id] = special_[id] || token.special;
    if (!token.normalized) {
      raw_.add(token.content, i);
    } else {
      normalized_.add(normalizer != nullptr ? normalizer->normalize(token.content) : token.content, i);
    }
  }
}

std::vector<Section> AddedTokens::split(std::string_view text, const StringMatcher& matcher) const {
  std::vector<Section> sections;
  std::size_t done = 0;
  std::size_t from = 0;
  while (const auto match = matcher.find(text, from)) {
    const AddedToken& token = tokens_[match->value];
    std::size_t begin = match->begin;
    std::size_t end = match->end;
    from = end;
    if (token.single_word && (word_before(text, begin) || word_at(text, end))) continue;
    if (token.lstrip) begin = space_begin(text, begin, std::min(done, begin));
    if (token.rstrip) end = space_end(text, end);
    if (done < begin) sections.push_back({.text = text.substr(done, begin - done), .token = std::nullopt});
    sections.push_back({.text = text.substr(begin, end - begin), .token = token.id});
    done = end;
  }
  if (done < text.size()) sections.push_back({.text = text.substr(done), .token = std::nullopt});
  return sections;
}

std::vector<AddedToken> read_added_tokens(const nlohmann::json& file, const LoadContext& context) {
  std::vector<AddedToken> tokens;
  if (!file.contains("added_tokens") || file["added_tokens"].is_null()) return tokens;
  for (const auto& entry : context.required_array(file, "the file", "added_tokens")) {
    const std::string kind = "added_tokens[" + std::to_string(tokens.size()) + "]";
    if (!entry.is_object()) context.corrupt(kind + " is not an object");
    AddedToken token;
    token.content = context.string_field(entry, kind, "content");
    token.id = context.token_id(context.required(entry, kind, "id"), kind);
    token.single_word = context.bool_field(entry, kind, "single_word", false);
    token.lstrip = context.bool_field(entry, kind, "lstrip", false);
    token.rstrip = context.bool_field(entry, kind, "rstrip", false);
    token.special = context.bool_field(entry, kind, "special", false);
    token.normalized = context.bool_field(entry, kind, "normalized", !token.special);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace krait
