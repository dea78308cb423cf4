// The BPE model: a piece is cut into characters, characters become tokens, and neighbours merge (bpe_merge.h). Pieces
// repeat, so a cache in front answers most of them.
#include <array>
#include <string>

#include "models/tokenizer/bpe_merge.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/character_ids.h"
#include "models/tokenizer/merge_boundaries.h"
#include "models/tokenizer/model.h"
#include "models/tokenizer/utf8.h"
#include "models/tokenizer/word_cache.h"

namespace krait {
namespace {

constexpr std::int32_t kNoToken = -1;

struct BpeOptions {
  bool ignore_merges = false;   ///< a piece that is a token is that token, whatever its merges say
  bool byte_fallback = false;   ///< a character outside the vocabulary becomes its <0xNN> tokens
  bool fuse_unk = false;        ///< neighbouring unknown characters become one unknown token
  std::int32_t unk = kNoToken;  ///< without it, unknown characters vanish
};

/// The merges, and where they cannot take place.
struct Merges {
  MergeTable table;
  MergeBoundaries boundaries;
};

class BpeModel : public TokenizerModel {
 public:
  BpeModel(Vocabulary vocabulary, Merges merges, BpeOptions options)
      : vocabulary_(std::move(vocabulary)), characters_(vocabulary_), merges_(std::move(merges)), options_(options) {
    find_byte_tokens();
  }

  Status tokenize(std::string_view piece, std::vector<std::int32_t>& out) const override {
    if (piece.size() <= WordCache::kMaxPieceBytes || options_.ignore_merges) {
      tokenize_word(piece, out);
      return ok_status();
    }
    // A text that no pre-tokenizer has cut: its words are still words.
    for (std::size_t pos = 0; pos < piece.size();) {
      const std::size_t end = word_end(piece, pos);
      tokenize_word(piece.substr(pos, end - pos), out);
      pos = end;
    }
    return ok_status();
  }

  Status tokenize_bytes(std::string_view piece, std::vector<std::int32_t>& out) const override {
    if (!all_bytes_known_) return TokenizerModel::tokenize_bytes(piece, out);
    if (cache_.find(piece, PieceForm::kBytes, out)) return ok_status();
    const std::size_t begin = out.size();
    if (!options_.ignore_merges || !append_whole(in_byte_alphabet(piece), out)) {
      for (const char byte : piece) out.push_back(alphabet_tokens_[static_cast<std::uint8_t>(byte)]);
      merge_tokens(merges_.table, out, begin);
    }
    cache_.store(piece, PieceForm::kBytes, out.data() + begin, out.size() - begin);
    return ok_status();
  }

  [[nodiscard]] const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  void find_byte_tokens() {
    byte_tokens_.fill(kNoToken);
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::string name = {'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'};
      byte_tokens_[byte] = vocabulary_.find(name).value_or(kNoToken);
      alphabet_tokens_[byte] = vocabulary_.find(byte_symbol(static_cast<std::uint8_t>(byte))).value_or(kNoToken);
      if (alphabet_tokens_[byte] == kNoToken) all_bytes_known_ = false;
    }
  }

  static std::string in_byte_alphabet(std::string_view bytes) {
    std::string text;
    append_byte_symbols(bytes, text);
    return text;
  }

  /// Appends the token that is the whole piece; false if there is none.
  bool append_whole(std::string_view piece, std::vector<std::int32_t>& out) const {
    const auto whole = vocabulary_.find(piece);
    if (whole) out.push_back(*whole);
    return whole.has_value();
  }

  void tokenize_word(std::string_view piece, std::vector<std::int32_t>& out) const {
    if (cache_.find(piece, PieceForm::kText, out)) return;
    const std::size_t begin = out.size();
    if (!options_.ignore_merges || !append_whole(piece, out)) {
      append_characters(piece, out);
      merge_tokens(merges_.table, out, begin);
    }
    cache_.store(piece, PieceForm::kText, out.data() + begin, out.size() - begin);
  }

  /// The first place behind `pos` over which nothing merges. A character outside the vocabulary becomes other tokens,
  /// of which the boundaries know nothing, and neighbours of it may be fused: it stays with what is around it.
  [[nodiscard]] std::size_t word_end(std::string_view piece, std::size_t pos) const {
    char32_t left = next_code_point(piece, pos);
    while (pos < piece.size()) {
      const std::size_t at = pos;
      const char32_t right = next_code_point(piece, pos);
      if (!merges_.boundaries.may_merge(left, right) && characters_.find(left) != kNoToken &&
          characters_.find(right) != kNoToken) {
        return at;
      }
      left = right;
    }
    return piece.size();
  }

  /// Appends the <0xNN> tokens of a character; false if one of them is missing.
  bool append_bytes(std::string_view character, std::vector<std::int32_t>& tokens) const {
    for (const char byte : character) {
      if (byte_tokens_[static_cast<std::uint8_t>(byte)] == kNoToken) return false;
    }
    for (const char byte : character) tokens.push_back(byte_tokens_[static_cast<std::uint8_t>(byte)]);
    return true;
  }

  void append_characters(std::string_view piece, std::vector<std::int32_t>& tokens) const {
    bool after_unknown = false;
    for (std::size_t pos = 0; pos < piece.size();) {
      const std::size_t begin = pos;
      const std::int32_t known = characters_.find(next_code_point(piece, pos));
      if (known != kNoToken) {
        tokens.push_back(known);
        after_unknown = false;
        continue;
      }
      const bool unknown = !(options_.byte_fallback && append_bytes(piece.substr(begin, pos - begin), tokens));
      if (unknown && options_.unk != kNoToken && !(after_unknown && options_.fuse_unk)) tokens.push_back(options_.unk);
      after_unknown = unknown;
    }
  }

  Vocabulary vocabulary_;
  CharacterIds characters_;
  Merges merges_;
  BpeOptions options_;
  std::array<std::int32_t, 256> byte_tokens_{};      ///< of byte fallback
  std::array<std::int32_t, 256> alphabet_tokens_{};  ///< of the byte alphabet
  bool all_bytes_known_ = true;                      ///< whether each byte's character is a token
  mutable WordCache cache_;
};

std::int32_t merge_part(const Vocabulary& vocabulary, std::string_view token, std::size_t rank,
                        const LoadContext& context) {
  const auto id = vocabulary.find(token);
  if (!id) {
    context.corrupt("model.merges: entry " + std::to_string(rank) + " needs the token '" + std::string(token) +
                    "', which model.vocab lacks");
  }
  return *id;
}

char32_t first_character(std::string_view text) {
  std::size_t pos = 0;
  return next_code_point(text, pos);
}

char32_t last_character(std::string_view text) {
  std::size_t pos = text.size() - 1;
  while (pos > 0 && (static_cast<std::uint8_t>(text[pos]) & 0xC0U) == 0x80U) --pos;
  return next_code_point(text, pos);
}

Merges make_merges(const Vocabulary& vocabulary, const MergeList& list, const LoadContext& context) {
  Merges merges{.table = MergeTable(list.size()), .boundaries = {}};
  std::string joined;
  for (std::size_t rank = 0; rank < list.size(); ++rank) {
    const auto [left, right] = list[rank];
    joined.assign(left).append(right);
    const std::int32_t left_id = merge_part(vocabulary, left, rank, context);
    const std::int32_t right_id = merge_part(vocabulary, right, rank, context);
    const std::int32_t joined_id = merge_part(vocabulary, joined, rank, context);
    merges.table.add(left_id, right_id, {.rank = static_cast<std::uint32_t>(rank), .id = joined_id});
    if (!left.empty() && !right.empty()) merges.boundaries.add(last_character(left), first_character(right));
  }
  return merges;
}

/// Options that change the tokens in ways that this version does not have; empty or absent is fine.
void refuse_unsupported(const nlohmann::json& description, const LoadContext& context) {
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto found = description.find(name);
    if (found == description.end() || found->is_null() || *found == "") continue;
    context.unsupported(std::string("model.") + name + " of BPE is not supported");
  }
  const auto dropout = description.find("dropout");
  if (dropout != description.end() && !dropout->is_null() && *dropout != 0.0) {
    context.unsupported("model.dropout of BPE is not supported: it makes tokens random");
  }
}

}  // namespace

std::unique_ptr<TokenizerModel> make_bpe_model(TokenizerFile& file, const LoadContext& context) {
  const nlohmann::json& description = file.rest["model"];
  refuse_unsupported(description, context);
  if (file.vocabulary.size() == 0) context.corrupt("model.vocab is missing, empty or not an object");
  BpeOptions options{.ignore_merges = context.bool_field(description, "model", "ignore_merges", false),
                     .byte_fallback = context.bool_field(description, "model", "byte_fallback", false),
                     .fuse_unk = context.bool_field(description, "model", "fuse_unk", false)};
  if (description.contains("unk_token") && !description["unk_token"].is_null()) {
    const std::string unk = context.string_field(description, "model", "unk_token");
    const auto id = file.vocabulary.find(unk);
    if (!id) context.corrupt("model.unk_token '" + unk + "' is not in model.vocab");
    options.unk = *id;
  }
  Merges merges = make_merges(file.vocabulary, file.merges, context);
  return std::make_unique<BpeModel>(std::move(file.vocabulary), std::move(merges), options);
}

}  // namespace krait
