#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/split_behavior.h"
#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// Splits at each character of a class: Digits and Punctuation.
class CharacterClassPreTokenizer : public PreTokenizer {
 public:
  using Class = bool (*)(char32_t);
  CharacterClassPreTokenizer(Class is_delimiter, SplitBehavior behavior)
      : is_delimiter_(is_delimiter), behavior_(behavior) {}

  Status apply(PreTokenizedText& text) const override {
    std::vector<Span> pieces;
    std::vector<Span> delimiters;
    for (const Span& piece : text.pieces) {
      delimiters.clear();
      find_delimiters(text.view(piece), delimiters);
      append_split(piece, delimiters, false, behavior_, pieces);
    }
    text.pieces = std::move(pieces);
    return ok_status();
  }

 private:
  void find_delimiters(std::string_view text, std::vector<Span>& out) const {
    for (std::size_t pos = 0; pos < text.size();) {
      const std::size_t begin = pos;
      if (is_delimiter_(next_code_point(text, pos))) out.push_back({.begin = begin, .end = pos});
    }
  }

  Class is_delimiter_;
  SplitBehavior behavior_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_character_class_pre_tokenizer(const nlohmann::json& description,
                                                                 const LoadContext& context) {
  const std::string kind = "pre_tokenizer";
  if (context.component_type(description, kind) == "Digits") {
    const bool individual = context.bool_field(description, kind, "individual_digits", false);
    return std::make_unique<CharacterClassPreTokenizer>(
        &is_numeric, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  }
  const bool stated = description.contains("behavior");
  return std::make_unique<CharacterClassPreTokenizer>(
      &is_punctuation, stated ? parse_split_behavior(context.string_field(description, kind, "behavior"), context)
                              : SplitBehavior::kIsolated);
}

}  // namespace krait
