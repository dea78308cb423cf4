#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/split_behavior.h"
#include "models/tokenizer/text_pattern.h"

namespace krait {
namespace {

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(TextPattern pattern, SplitBehavior behavior, bool invert)
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
  TextPattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_split_pre_tokenizer(const nlohmann::json& description, const LoadContext& context) {
  const std::string kind = "pre_tokenizer";
  const SplitBehavior behavior = parse_split_behavior(context.string_field(description, kind, "behavior"), context);
  return std::make_unique<SplitPreTokenizer>(TextPattern(context.required(description, kind, "pattern"), kind, context),
                                             behavior, context.bool_field(description, kind, "invert", false));
}

}  // namespace krait
