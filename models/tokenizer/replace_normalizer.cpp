#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/text_pattern.h"

namespace krait {
namespace {

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(TextPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  Status normalize(NormalizedText& text) const override {
    std::vector<Span> matches;
    if (Status status = pattern_.find_all(text.text, matches); !status.ok()) return status;
    if (matches.empty()) return ok_status();
    NormalizedText result;
    result.text.reserve(text.text.size() + matches.size() * content_.size());
    std::size_t done = 0;
    for (const Span& match : matches) {
      append_kept(text, {.begin = done, .end = match.begin}, result);
      // What replaces a match counts as coming from the match's last character.
      const bool in_head = match.end == 0 || match.end <= text.head;
      result.text += content_;
      if (in_head) result.head = result.text.size();
      done = match.end;
    }
    append_kept(text, {.begin = done, .end = text.text.size()}, result);
    text = std::move(result);
    return ok_status();
  }

 private:
  static void append_kept(const NormalizedText& text, Span span, NormalizedText& result) {
    const std::size_t offset = result.text.size();
    result.text.append(text.text, span.begin, span.end - span.begin);
    if (span.begin < text.head) result.head = offset + std::min(span.end, text.head) - span.begin;
  }

  TextPattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<Normalizer> make_replace_normalizer(const nlohmann::json& description, const LoadContext& context) {
  return std::make_unique<ReplaceNormalizer>(
      TextPattern(context.required(description, "normalizer", "pattern"), "normalizer", context),
      context.string_field(description, "normalizer", "content"));
}

}  // namespace krait
