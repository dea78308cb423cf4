#include <optional>

#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/split_behavior.h"

namespace krait {
namespace {

/// A regular expression or a literal string.
class Pattern {
 public:
  Pattern(const nlohmann::json& description, const LoadContext& context) {
    if (description.contains("Regex")) {
      regex_.emplace(context.string_field(description, "pre_tokenizer.pattern", "Regex"), context);
    } else {
      literal_ = context.string_field(description, "pre_tokenizer.pattern", "String");
    }
  }

  Status find_all(std::string_view text, std::vector<Span>& out) const {
    if (regex_) return regex_->find_all(text, out);
    if (literal_.empty()) return ok_status();
    for (std::size_t pos = text.find(literal_); pos != std::string_view::npos;
         pos = text.find(literal_, pos + literal_.size())) {
      out.push_back({.begin = pos, .end = pos + literal_.size()});
    }
    return ok_status();
  }

 private:
  std::optional<Regex> regex_;
  std::string literal_;
};

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  Status apply(PreTokenizedText& text) const override {
    std::vector<Span> pieces;
    std::vector<Span> matches;
    for (const Span& piece : text.pieces) {
      matches.clear();
      if (Status status = pattern_.find_all(text.view(piece), matches); !status.ok()) return status;
      append_split(piece, matches, invert_, behavior_, pieces);
    }
    text.pieces = std::move(pieces);
    return ok_status();
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_split_pre_tokenizer(const nlohmann::json& description, const LoadContext& context) {
  const std::string kind = "pre_tokenizer";
  const SplitBehavior behavior = parse_split_behavior(context.string_field(description, kind, "behavior"), context);
  return std::make_unique<SplitPreTokenizer>(Pattern(context.required(description, kind, "pattern"), context), behavior,
                                             context.bool_field(description, kind, "invert", false));
}

}  // namespace krait
