// The Unigram model: of all ways to cut a piece into tokens, the one with the largest sum of scores (Kudo, "Subword
// Regularization", 2018), found by Viterbi's algorithm over the positions of the piece. Sums are made in the
// reference's order, because ties and rounding decide between tokens.
#include <optional>
#include <string>

#include "models/tokenizer/byte_tokens.h"
#include "models/tokenizer/model.h"
#include "models/tokenizer/unigram_trie.h"
#include "models/tokenizer/utf8.h"
#include "models/tokenizer/word_cache.h"

namespace krait {
namespace {

/// An unknown character scores so much less than the worst token.
constexpr double kUnknownPenalty = 10.0;

struct UnigramOptions {
  std::optional<std::int32_t> unk;
  bool byte_fallback = false;
};

class UnigramModel : public TokenizerModel {
 public:
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores, UnigramOptions options)
      : vocabulary_(std::move(vocabulary)), scores_(std::move(scores)), options_(options), byte_tokens_(vocabulary_) {
    double worst = std::numeric_limits<double>::infinity();
    for (const double score : scores_) worst = std::min(worst, score);
    unknown_score_ = worst - kUnknownPenalty;
    for (std::int32_t id = 0; id < vocabulary_.id_end(); ++id) {
      const auto token = vocabulary_.token(id);
      if (token) trie_.add(*token, *vocabulary_.find(*token));
    }
  }

  Status tokenize(std::string_view piece, std::vector<std::int32_t>& out) const override {
    if (cache_.find(piece, PieceForm::kText, out)) return ok_status();
    const std::size_t begin = out.size();
    std::vector<Step> steps;
    if (!find_best(piece, steps) || !append_path(piece, steps, out)) {
      out.resize(begin);
      return Error{.code = ErrorCode::kInvalidArgument,
                   .message = "the text has a character outside the vocabulary, and the tokenizer has no unknown token",
                   .field = {}};
    }
    cache_.store(piece, PieceForm::kText, out.data() + begin, out.size() - begin);
    return ok_status();
  }

  [[nodiscard]] const Vocabulary& vocabulary() const override { return vocabulary_; }
  [[nodiscard]] std::size_t size() const override { return scores_.size(); }

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  /// The last token of the best way to a position.
  struct Step {
    double score = 0.0;
    std::size_t from = kNowhere;
    std::int32_t token = 0;
  };

  /// Fills the best step to each end of a character; false when a character is unknown and there is no token for that.
  bool find_best(std::string_view piece, std::vector<Step>& steps) const {
    steps.assign(piece.size() + 1, Step{});
    const auto offer = [&steps](std::size_t end, const Step& step) {
      Step& best = steps[end];
      const bool better = best.from == kNowhere || step.score > best.score;
      if (better) best = step;
      return better;
    };
    for (std::size_t pos = 0; pos < piece.size();) {
      std::size_t next = pos;
      next_code_point(piece, next);
      bool known = false;
      std::uint32_t node = UnigramTrie::kRoot;
      for (std::size_t end = pos; end < piece.size();) {
        node = trie_.child(node, piece[end++]);
        if (node == UnigramTrie::kNoNode) break;
        const std::int32_t token = trie_.token(node);
        if (token == UnigramTrie::kNoToken) continue;
        offer(end, {.score = scores_[static_cast<std::size_t>(token)] + steps[pos].score, .from = pos, .token = token});
        known = known || end == next;
      }
      if (!known) {
        const Step unknown{
            .score = unknown_score_ + steps[pos].score, .from = pos, .token = options_.unk.value_or(kNoUnknown)};
        if (offer(next, unknown) && !options_.unk) return false;
      }
      pos = next;
    }
    return true;
  }

  /// Appends the tokens of the best way. Neighbouring unknown stretches are one.
  bool append_path(std::string_view piece, const std::vector<Step>& steps, std::vector<std::int32_t>& out) const {
    std::vector<std::size_t> ends;
    for (std::size_t end = piece.size(); end > 0; end = steps[end].from) ends.push_back(end);
    std::size_t begin = 0;
    for (std::size_t i = ends.size(); i-- > 0;) {
      const std::int32_t token = steps[ends[i]].token;
      if (!is_unknown(token)) {
        out.push_back(token);
      } else if (i > 0 && is_unknown(steps[ends[i - 1]].token)) {
        continue;  // goes on in the next
      } else if (!append_unknown(piece.substr(begin, ends[i] - begin), out)) {
        return false;
      }
      begin = ends[i];
    }
    return true;
  }

  [[nodiscard]] bool is_unknown(std::int32_t token) const { return options_.unk == token; }

  /// An unknown stretch may yet be a token: the unknown token's own spelling, or one that lost against its parts.
  bool append_unknown(std::string_view text, std::vector<std::int32_t>& out) const {
    const auto known = vocabulary_.find(text);
    if (known) {
      out.push_back(*known);
    } else if (!(options_.byte_fallback && byte_tokens_.append(text, out))) {
      if (!options_.unk) return false;
      out.push_back(*options_.unk);
    }
    return true;
  }

  static constexpr std::int32_t kNoUnknown = -1;

  Vocabulary vocabulary_;
  std::vector<double> scores_;  ///< by id
  UnigramOptions options_;
  ByteTokens byte_tokens_;
  UnigramTrie trie_;
  double unknown_score_ = 0.0;
  mutable WordCache cache_;
};

}  // namespace

std::unique_ptr<TokenizerModel> make_unigram_model(TokenizerFile& file, const LoadContext& context) {
  const nlohmann::json& description = file.rest["model"];
  Vocabulary vocabulary;
  std::vector<double> scores;
  for (const auto& entry : context.required_array(description, "model", "vocab")) {
    const std::string where = "model.vocab[" + std::to_string(scores.size()) + "]";
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      context.corrupt(where + " is not [token, score]");
    }
    if (scores.size() > static_cast<std::size_t>(kMaxTokenId)) context.corrupt("model.vocab has too many tokens");
    vocabulary.add(entry[0].get_ref<const std::string&>(), static_cast<std::int32_t>(scores.size()));
    scores.push_back(entry[1].get<double>());
  }
  UnigramOptions options{.unk = std::nullopt,
                         .byte_fallback = context.bool_field(description, "model", "byte_fallback", false)};
  if (description.contains("unk_id") && !description["unk_id"].is_null()) {
    const std::size_t unk = context.size_field(description, "model", "unk_id", std::nullopt);
    if (unk >= scores.size()) context.corrupt("model.unk_id " + std::to_string(unk) + " is outside model.vocab");
    options.unk = static_cast<std::int32_t>(unk);
  }
  return std::make_unique<UnigramModel>(std::move(vocabulary), std::move(scores), options);
}

}  // namespace krait
