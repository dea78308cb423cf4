// The BPE model: a piece is cut into characters, characters become tokens, and neighbours merge (bpe_merge.h). Pieces
// repeat, so a cache in front answers most of them.
#include <array>
#include <string>

#include "models/tokenizer/bpe_merge.h"
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

class BpeModel : public TokenizerModel {
 public:
  BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options)
      : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)), options_(options) {
    find_byte_tokens();
  }

  Status tokenize(std::string_view piece, std::vector<std::int32_t>& out) const override {
    if (cache_.find(piece, out)) return ok_status();
    const std::size_t begin = out.size();
    const auto whole = options_.ignore_merges ? vocabulary_.find(piece) : std::nullopt;
    if (whole) {
      out.push_back(*whole);
    } else {
      std::vector<std::int32_t> tokens = characters(piece);
      merge_tokens(merges_, tokens);
      out.insert(out.end(), tokens.begin(), tokens.end());
    }
    cache_.store(piece, out.data() + begin, out.size() - begin);
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
    }
  }

  /// Appends the <0xNN> tokens of a character; false if one of them is missing.
  bool append_bytes(std::string_view character, std::vector<std::int32_t>& tokens) const {
    for (const char byte : character) {
      if (byte_tokens_[static_cast<std::uint8_t>(byte)] == kNoToken) return false;
    }
    for (const char byte : character) tokens.push_back(byte_tokens_[static_cast<std::uint8_t>(byte)]);
    return true;
  }

  [[nodiscard]] std::vector<std::int32_t> characters(std::string_view piece) const {
    std::vector<std::int32_t> tokens;
    tokens.reserve(piece.size());
    bool after_unknown = false;
    for (std::size_t pos = 0; pos < piece.size();) {
      const std::size_t begin = pos;
      next_code_point(piece, pos);
      const std::string_view character = piece.substr(begin, pos - begin);
      const auto known = vocabulary_.find(character);
      const bool unknown = !known && !(options_.byte_fallback && append_bytes(character, tokens));
      if (known) tokens.push_back(*known);
      if (unknown && options_.unk != kNoToken && !(after_unknown && options_.fuse_unk)) tokens.push_back(options_.unk);
      after_unknown = unknown;
    }
    return tokens;
  }

  Vocabulary vocabulary_;
  MergeTable merges_;
  BpeOptions options_;
  std::array<std::int32_t, 256> byte_tokens_{};
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

MergeTable make_merge_table(const Vocabulary& vocabulary, const MergeList& list, const LoadContext& context) {
  MergeTable table(list.size());
  std::string joined;
  for (std::size_t rank = 0; rank < list.size(); ++rank) {
    const auto [left, right] = list[rank];
    joined.assign(left).append(right);
    const std::int32_t left_id = merge_part(vocabulary, left, rank, context);
    const std::int32_t right_id = merge_part(vocabulary, right, rank, context);
    const std::int32_t joined_id = merge_part(vocabulary, joined, rank, context);
    table.add(left_id, right_id, {.rank = static_cast<std::uint32_t>(rank), .id = joined_id});
  }
  return table;
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
  MergeTable merges = make_merge_table(file.vocabulary, file.merges, context);
  return std::make_unique<BpeModel>(std::move(file.vocabulary), std::move(merges), options);
}

}  // namespace krait
