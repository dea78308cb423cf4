// Follows the reference's order of steps closely, odd corners included: a token whose white space its left neighbour
// has taken in part still counts, and one that is refused as part of a word is skipped whole.
#include "models/tokenizer/added_tokens.h"

#include <algorithm>

#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

bool word_before(std::string_view text, std::size_t pos) {
  if (pos == 0) return false;
  std::size_t at = previous_character(text, pos);
  return is_word(next_code_point(text, at));
}

bool word_at(std::string_view text, std::size_t pos) {
  return pos < text.size() && is_word(next_code_point(text, pos));
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer* normalizer, const Vocabulary& model,
                         std::int32_t next_id, const LoadContext& context) {
  for (AddedToken token : tokens) {
    if (token.content.empty()) continue;
    auto id = vocabulary_.find(token.content);
    if (!id) id = model.find(token.content);
    if (!id) {
      if (next_id > kMaxTokenId) context.corrupt("added_tokens: too many tokens");
      id = next_id++;
    }
    if (*id != token.id) {
      renumbered_.push_back("added token '" + token.content + "' has the id " + std::to_string(*id) + ", not " +
                            std::to_string(token.id) + " as the file says");
    }
    token.id = *id;
    add(std::move(token), normalizer, context);
  }
  index();
}

void AddedTokens::add(AddedToken token, const Normalizer* normalizer, const LoadContext& context) {
  NormalizedText content{.text = token.content, .head = 0};
  if (token.normalized && normalizer != nullptr && !normalizer->normalize(content).ok()) {
    context.corrupt("added token '" + token.content + "' cannot be normalized");
  }
  vocabulary_.add(token.content, token.id);
  const auto id = static_cast<std::size_t>(token.id);
  if (id >= by_id_.size()) by_id_.resize(id + 1, -1);
  if (by_id_[id] < 0) {
    by_id_[id] = static_cast<std::int32_t>(tokens_.size());
    tokens_.push_back(std::move(token));
    normalized_contents_.push_back(std::move(content.text));
  } else {  // the same content again: the later flags count
    const auto at = static_cast<std::size_t>(by_id_[id]);
    token.special = token.special || tokens_[at].special;
    tokens_[at] = std::move(token);
    // A spelling that was normalized once stays, even where the later flags ask for none.
    if (content.text != tokens_[at].content) normalized_contents_[at] = std::move(content.text);
  }
}

void AddedTokens::index() {
  special_.resize(by_id_.size(), false);
  skipped_.resize(by_id_.size(), false);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    const auto id = static_cast<std::size_t>(token.id);
    special_[id] = token.special;
    const auto namesake = vocabulary_.find(normalized_contents_[i]);
    const auto named = namesake ? by_id_[static_cast<std::size_t>(*namesake)] : -1;
    skipped_[id] = named >= 0 && tokens_[static_cast<std::size_t>(named)].special;
    if (token.normalized) {
      normalized_.add(normalized_contents_[i], i);
    } else {
      raw_.add(token.content, i);
    }
  }
}

std::optional<std::string_view> AddedTokens::spelling(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= by_id_.size()) return std::nullopt;
  const std::int32_t at = by_id_[static_cast<std::size_t>(id)];
  if (at < 0) return std::nullopt;
  return normalized_contents_[static_cast<std::size_t>(at)];
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
    if (token.lstrip) begin = std::max(done, white_space_begin(text, std::min(done, begin), begin));
    if (token.rstrip) end = white_space_end(text, end);
    if (done < begin) sections.push_back({.text = text.substr(done, begin - done), .token = std::nullopt});
    // A token of white space that its left neighbour has taken whole is no token any more.
    if (begin < end) sections.push_back({.text = text.substr(begin, end - begin), .token = token.id});
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
