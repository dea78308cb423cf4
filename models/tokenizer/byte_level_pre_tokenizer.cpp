#include <algorithm>
#include <optional>

#include "models/tokenizer/known_patterns.h"
#include "models/tokenizer/pre_tokenizer.h"

namespace krait {
namespace {

/// Text in the byte alphabet, after an optional prefix blank for each piece and GPT-2's split.
class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, bool use_regex, const LoadContext& context)
      : add_prefix_space_(add_prefix_space) {
    if (use_regex) regex_.emplace(kGpt2Pattern, context);
  }

  Status apply(PreTokenizedText& text) const override {
    if (add_prefix_space_) prefix_pieces(text);
    if (regex_) {
      if (Status status = split_pieces(text); !status.ok()) return status;
    }
    text.in_bytes = true;
    return ok_status();
  }

 private:
  static void prefix_pieces(PreTokenizedText& text) {
    PreTokenizedText result{std::string()};
    for (const Span& piece : text.pieces) {
      const std::string_view view = text.view(piece);
      const std::size_t begin = result.text.size();
      if (view.front() != ' ') result.text.push_back(' ');
      const std::size_t head = text.head > piece.begin ? std::min(text.head - piece.begin, view.size()) : 0;
      if (head > 0) result.head = result.text.size() + head;
      result.text.append(view);
      result.pieces.push_back({.begin = begin, .end = result.text.size()});
    }
    text = std::move(result);
  }

  /// The pattern matches every character, so its matches alone are the pieces.
  Status split_pieces(PreTokenizedText& text) const {
    std::vector<Span> pieces;
    for (const Span& piece : text.pieces) {
      std::size_t next = pieces.size();
      if (Status status = regex_->find_all(text.view(piece), pieces); !status.ok()) return status;
      for (; next < pieces.size(); ++next) {
        pieces[next].begin += piece.begin;
        pieces[next].end += piece.begin;
      }
    }
    text.pieces = std::move(pieces);
    return ok_status();
  }

  bool add_prefix_space_;
  std::optional<Regex> regex_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_byte_level_pre_tokenizer(const nlohmann::json& description,
                                                            const LoadContext& context) {
  const std::string kind = "pre_tokenizer";
  return std::make_unique<ByteLevelPreTokenizer>(context.bool_field(description, kind, "add_prefix_space", true),
                                                 context.bool_field(description, kind, "use_regex", true), context);
}

}  // namespace krait
