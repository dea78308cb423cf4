// Normalizers that map each character to none, one or a few, whatever stands around it: Lowercase, StripAccents, Nmt
// and BertNormalizer.
#include <utf8proc.h>

#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/unicode_normalization.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// Appends what `c` becomes to `out`.
using CharacterMap = void (*)(char32_t c, std::string& out);

void map_characters(NormalizedText& text, CharacterMap map) {
  std::string result;
  result.reserve(text.text.size());
  std::size_t head = 0;
  for (std::size_t pos = 0; pos < text.text.size();) {
    map(next_code_point(text.text, pos), result);
    if (pos == text.head) head = result.size();
  }
  text = {.text = std::move(result), .head = head};
}

/// Lower case of pairs that are younger than utf8proc's tables (Unicode 16 and 17).
char32_t young_lower(char32_t c) {
  switch (c) {
    case 0xA7CB:
      return 0x264;
    case 0xA7DC:
      return 0x19B;
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      return c + 1;
    default:
      break;
  }
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
  return c >= 0x16EA0 && c <= 0x16EB8 ? c + 0x1B : c;
}

void append_lower(char32_t c, std::string& out) {
  constexpr char32_t kCapitalIWithDot = 0x130;  // the one character whose lower case is two: i and a combining dot
  if (c < 0x80) {
    out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c));
  } else if (c == kCapitalIWithDot) {
    out += "i\xCC\x87";
  } else {
    append_code_point(young_lower(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)))), out);
  }
}

void append_unless_mark(char32_t c, std::string& out) {
  if (!is_mark(c)) append_code_point(c, out);
}

/// SentencePiece's rules for machine translation: control characters go, exotic blanks become the blank.
void append_nmt(char32_t c, std::string& out) {
  const bool dropped =
      (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  if (dropped) return;
  const bool blank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                     c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  append_code_point(blank ? U' ' : c, out);
}

class MappingNormalizer : public Normalizer {
 public:
  MappingNormalizer(CharacterMap map, bool keeps_ascii) : map_(map), keeps_ascii_(keeps_ascii) {}
  Status normalize(NormalizedText& text) const override {
    if (keeps_ascii_ && is_ascii(text.text)) return ok_status();
    map_characters(text, map_);
    return ok_status();
  }

 private:
  CharacterMap map_;
  bool keeps_ascii_;
};

void append_clean(char32_t c, std::string& out) {
  const bool blank = is_white_space(c);
  const bool control = c != '\t' && c != '\n' && c != '\r' && is_other(c);
  if (c == 0 || c == 0xFFFD || control) return;
  append_code_point(blank ? U' ' : c, out);
}

/// The blocks that BERT's own code calls Chinese; the gaps are its own.
bool is_bert_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void append_spaced_chinese(char32_t c, std::string& out) {
  const bool chinese = is_bert_chinese(c);
  if (chinese) out.push_back(' ');
  append_code_point(c, out);
  if (chinese) out.push_back(' ');
}

void append_unless_non_spacing(char32_t c, std::string& out) {
  if (!is_non_spacing_mark(c)) append_code_point(c, out);
}

class BertNormalizer : public Normalizer {
 public:
  BertNormalizer(const nlohmann::json& description, const LoadContext& context)
      : clean_(context.required_bool(description, "normalizer", "clean_text")),
        chinese_(context.required_bool(description, "normalizer", "handle_chinese_chars")),
        lower_(context.required_bool(description, "normalizer", "lowercase")),
        strip_(context.bool_field(description, "normalizer", "strip_accents", lower_)) {}

  Status normalize(NormalizedText& text) const override {
    if (clean_) map_characters(text, &append_clean);
    const bool ascii = is_ascii(text.text);
    if (chinese_ && !ascii) map_characters(text, &append_spaced_chinese);
    if (strip_ && !ascii) {
      const std::size_t head =
          to_normalization_form(std::string_view(text.text).substr(0, text.head), NormalizationForm::kNfd).size();
      text = {.text = to_normalization_form(text.text, NormalizationForm::kNfd), .head = head};
      map_characters(text, &append_unless_non_spacing);
    }
    if (lower_) map_characters(text, &append_lower);
    return ok_status();
  }

 private:
  bool clean_;
  bool chinese_;
  bool lower_;
  bool strip_;
};

}  // namespace

std::unique_ptr<Normalizer> make_character_normalizer(const std::string& type, const nlohmann::json& description,
                                                      const LoadContext& context) {
  if (type == "Lowercase") return std::make_unique<MappingNormalizer>(&append_lower, false);
  if (type == "StripAccents") return std::make_unique<MappingNormalizer>(&append_unless_mark, true);
  if (type == "Nmt") return std::make_unique<MappingNormalizer>(&append_nmt, false);
  if (type == "BertNormalizer") return std::make_unique<BertNormalizer>(description, context);
  return nullptr;
}

}  // namespace krait
