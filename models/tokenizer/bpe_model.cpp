// The BPE model: a piece is cut into characters, characters become tokens, and neighbours merge (bpe_merge.h). Pieces
// repeat, so a cache in front answers most of them.
#include <array>
#include <optional>
#include <string>

#include "models/tokenizer/bpe_merge.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/byte_tokens.h"
#include "models/tokenizer/character_ids.h"
#include "models/tokenizer/merge_boundaries.h"
#include "models/tokenizer/model.h"
#include "models/tokenizer/utf8.h"
#include "models/tokenizer/word_cache.h"

namespace krait {
namespace {

constexpr std::int32_t kNoToken = -1;

struct BpeOptions {
  bool ignore_merges = false;       ///< a piece that is a token is that token, whatever its merges say
  bool byte_fallback = false;       ///< a character outside the vocabulary becomes its <0xNN> tokens
  bool fuse_unk = false;            ///< neighbouring unknown characters become one unknown token
  std::optional<std::string> unk;   ///< without it, unknown characters vanish
  std::string continuation_prefix;  ///< of all characters of a piece but the first
  std::string word_suffix;          ///< of the last character of a piece
};

/// The merges, and where they cannot take place.
struct Merges {
  MergeTable table;
  MergeBoundaries boundaries;
};

class BpeModel : public TokenizerModel {
 public:
  BpeModel(Vocabulary vocabulary, Merges merges, BpeOptions options)
      : vocabulary_(std::move(vocabulary)),
        characters_(vocabulary_),
        merges_(std::move(merges)),
        options_(std::move(options)),
        byte_tokens_(vocabulary_),
        decorated_(!options_.continuation_prefix.empty() || !options_.word_suffix.empty()) {
    if (options_.unk) unk_ = vocabulary_.find(*options_.unk);
    find_alphabet_tokens();
  }

  Status tokenize(std::string_view piece, std::vector<std::int32_t>& out) const override {
    if (piece.size() <= WordCache::kMaxPieceBytes || options_.ignore_merges || decorated_) {
      return tokenize_word(piece, out);
    }
    // A text that no pre-tokenizer has cut: its words are still words.
    for (std::size_t pos = 0; pos < piece.size();) {
      const std::size_t end = word_end(piece, pos);
      if (Status status = tokenize_word(piece.substr(pos, end - pos), out); !status.ok()) return status;
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
  void find_alphabet_tokens() {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      alphabet_tokens_[byte] = vocabulary_.find(byte_symbol(static_cast<std::uint8_t>(byte))).value_or(kNoToken);
      if (alphabet_tokens_[byte] == kNoToken || decorated_) all_bytes_known_ = false;
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

  Status tokenize_word(std::string_view piece, std::vector<std::int32_t>& out) const {
    if (cache_.find(piece, PieceForm::kText, out)) return ok_status();
    const std::size_t begin = out.size();
    if (!options_.ignore_merges || !append_whole(piece, out)) {
      if (!(decorated_ ? append_decorated(piece, out) : append_characters(piece, out))) {
        out.resize(begin);
        return Error{
            .code = ErrorCode::kInvalidArgument,
            .message = "the text has a character outside the vocabulary, which also lacks the unknown token '" +
                       *options_.unk + "'",
            .field = {}};
      }
      merge_tokens(merges_.table, out, begin);
    }
    cache_.store(piece, PieceForm::kText, out.data() + begin, out.size() - begin);
    return ok_status();
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

  /// What stands between known characters. An unknown token is kept back until a known one comes; byte tokens overtake
  /// it, as they do in the reference.
  struct Unknown {
    bool waits = false;
  };

  /// Appends the first tokens of one spelling (`known`: its own token, or kNoToken); false when it is unknown and the
  /// vocabulary lacks the unknown token.
  bool append_character(std::int32_t known, std::string_view spelling, Unknown& unknown,
                        std::vector<std::int32_t>& tokens) const {
    if (known != kNoToken) {
      finish_unknown(unknown, tokens);
      tokens.push_back(known);
    } else if (!(options_.byte_fallback && byte_tokens_.append(spelling, tokens)) && options_.unk) {
      if (!unk_) return false;
      if (!options_.fuse_unk) finish_unknown(unknown, tokens);
      unknown.waits = true;
    }
    return true;
  }

  void finish_unknown(Unknown& unknown, std::vector<std::int32_t>& tokens) const {
    if (unknown.waits) tokens.push_back(*unk_);
    unknown.waits = false;
  }

  bool append_characters(std::string_view piece, std::vector<std::int32_t>& tokens) const {
    Unknown unknown;
    for (std::size_t pos = 0; pos < piece.size();) {
      const std::size_t begin = pos;
      const std::int32_t known = characters_.find(next_code_point(piece, pos));
      if (!append_character(known, piece.substr(begin, pos - begin), unknown, tokens)) return false;
    }
    finish_unknown(unknown, tokens);
    return true;
  }

  /// The same where characters are spelled with a prefix or a suffix.
  bool append_decorated(std::string_view piece, std::vector<std::int32_t>& tokens) const {
    Unknown unknown;
    std::string spelling;
    for (std::size_t pos = 0; pos < piece.size();) {
      const std::size_t begin = pos;
      next_code_point(piece, pos);
      spelling.assign(begin > 0 ? options_.continuation_prefix : "").append(piece.substr(begin, pos - begin));
      if (pos == piece.size()) spelling += options_.word_suffix;
      if (!append_character(vocabulary_.find(spelling).value_or(kNoToken), spelling, unknown, tokens)) return false;
    }
    finish_unknown(unknown, tokens);
    return true;
  }

  Vocabulary vocabulary_;
  CharacterIds characters_;
  Merges merges_;
  BpeOptions options_;
  ByteTokens byte_tokens_;
  bool decorated_;  ///< whether characters are spelled with a prefix or a suffix
  std::optional<std::int32_t> unk_;
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

/// `prefix`: how many bytes the right token of a merge loses (its continuation prefix).
Merges make_merges(const Vocabulary& vocabulary, const MergeList& list, std::size_t prefix,
                   const LoadContext& context) {
  Merges merges{.table = MergeTable(list.size()), .boundaries = {}};
  std::string joined;
  for (std::size_t rank = 0; rank < list.size(); ++rank) {
    const auto [left, right] = list[rank];
    if (right.size() < prefix) {
      context.corrupt("model.merges: entry " + std::to_string(rank) + " has the right token '" + std::string(right) +
                      "', which is shorter than model.continuing_subword_prefix");
    }
    joined.assign(left).append(right.substr(prefix));
    const std::int32_t left_id = merge_part(vocabulary, left, rank, context);
    const std::int32_t right_id = merge_part(vocabulary, right, rank, context);
    const std::int32_t joined_id = merge_part(vocabulary, joined, rank, context);
    merges.table.add(left_id, right_id, {.rank = static_cast<std::uint32_t>(rank), .id = joined_id});
    if (!left.empty() && !right.empty()) merges.boundaries.add(last_character(left), first_character(right));
  }
  return merges;
}

void refuse_dropout(const nlohmann::json& description, const LoadContext& context) {
  const auto dropout = description.find("dropout");
  if (dropout != description.end() && !dropout->is_null() && *dropout != 0.0) {
    context.unsupported("model.dropout of BPE is not supported: it makes tokens random");
  }
}

std::optional<std::string> optional_string(const nlohmann::json& description, const std::string& name,
                                           const LoadContext& context) {
  if (!description.contains(name) || description[name].is_null()) return std::nullopt;
  return context.string_field(description, "model", name);
}

}  // namespace

std::unique_ptr<TokenizerModel> make_bpe_model(TokenizerFile& file, const LoadContext& context) {
  const nlohmann::json& description = file.rest["model"];
  refuse_dropout(description, context);
  if (file.vocabulary.size() == 0) context.corrupt("model.vocab is missing, empty or not an object");
  BpeOptions options{
      .ignore_merges = context.bool_field(description, "model", "ignore_merges", false),
      .byte_fallback = context.bool_field(description, "model", "byte_fallback", false),
      .fuse_unk = context.bool_field(description, "model", "fuse_unk", false),
      .unk = optional_string(description, "unk_token", context),
      .continuation_prefix = optional_string(description, "continuing_subword_prefix", context).value_or(""),
      .word_suffix = optional_string(description, "end_of_word_suffix", context).value_or("")};
  Merges merges = make_merges(file.vocabulary, file.merges, options.continuation_prefix.size(), context);
  return std::make_unique<BpeModel>(std::move(file.vocabulary), std::move(merges), std::move(options));
}

}  // namespace krait
