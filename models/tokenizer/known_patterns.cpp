// The patterns of the field are variations of one: a contraction, a word with what stands before it, a number, signs,
// white space. What varies is data (Grammar), so that each alternative is written once. Backtracking of the regular
// expressions is spelled out where it can happen: before a blank's word, in runs of white space, between cases.
#include "models/tokenizer/known_patterns.h"

#include <array>

#include "models/tokenizer/code_point_classes.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

constexpr std::size_t kNoMatch = static_cast<std::size_t>(-1);

enum class Contractions { kNone, kLowerCase, kAnyCase, kAfterWords };
enum class Words {
  kAfterBlank,   ///< " ?W+"
  kAfterSign,    ///< "P?W+"
  kMixedCase,    ///< "P?U*L+|P?U+L*", each with an optional contraction behind
  kAsciiOrSign,  ///< "[ASCII sign][A-Za-z]+|P?W+"
};

/// One pattern. Masks are of CodePointClass.
struct Grammar {
  unsigned han_run = 0;  ///< a first alternative: a run of these
  Contractions contractions = Contractions::kNone;
  Words words = Words::kAfterSign;
  unsigned before_word = kNotAlphanumeric;  ///< P
  unsigned word = kLetter;                  ///< W
  unsigned upper = kUpper;                  ///< U
  unsigned lower = kLower;                  ///< L
  std::size_t max_digits = 0;               ///< "\p{N}{1,n}"; 0: " ?\p{N}+"
  bool numbers = true;
  unsigned signs = kOther;            ///< " ?[signs]+"
  std::string_view after_signs = {};  ///< ASCII characters that may follow signs, as many as there are
  bool lines = true;                  ///< "\s*[\r\n]+" before "\s+(?!\S)|\s+"
};

/// Walks over a text by one grammar; all functions give the end of a match that starts at `pos`, or kNoMatch.
template <const Grammar& kGrammar>
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void scan(std::vector<Span>& out) const {
    for (std::size_t pos = 0; pos < text_.size();) {
      const std::size_t end = match(pos);
      if (end == kNoMatch) {  // a character that no alternative takes, as a search goes past it
        pos = char_at(pos).end;
        continue;
      }
      out.push_back({.begin = pos, .end = end});
      pos = end;
    }
  }

 private:
  struct Char {
    std::size_t end;
    unsigned classes;  ///< 0 behind the text
  };

  [[nodiscard]] Char char_at(std::size_t pos) const {
    if (pos >= text_.size()) return {.end = pos, .classes = 0};
    const auto byte = static_cast<std::uint8_t>(text_[pos]);
    if (byte < 0x80) return {.end = pos + 1, .classes = classes_.of(byte)};
    const char32_t code_point = next_code_point(text_, pos);
    return {.end = pos, .classes = classes_.of(code_point)};
  }

  [[nodiscard]] char byte_at(std::size_t pos) const { return pos < text_.size() ? text_[pos] : '\0'; }

  /// The end of a run, maybe an empty one.
  [[nodiscard]] std::size_t run_end(std::size_t pos, unsigned mask) const {
    for (Char c = char_at(pos); (c.classes & mask) != 0; c = char_at(pos)) pos = c.end;
    return pos;
  }

  [[nodiscard]] std::size_t match(std::size_t pos) const {
    if constexpr (kGrammar.han_run != 0) {
      if (const std::size_t end = run_end(pos, kGrammar.han_run); end != pos) return end;
    }
    if constexpr (kGrammar.contractions == Contractions::kLowerCase ||
                  kGrammar.contractions == Contractions::kAnyCase) {
      if (const std::size_t end = contraction(pos); end != pos) return end;
    }
    if (const std::size_t end = word(pos); end != kNoMatch) return end;
    if constexpr (kGrammar.numbers) {
      if (const std::size_t end = number(pos); end != kNoMatch) return end;
    }
    if (const std::size_t end = signs(pos); end != kNoMatch) return end;
    return white_space(pos);
  }

  /// One letter of a contraction in the case that the grammar asks for. U+017F is a lower-case s to Unicode.
  [[nodiscard]] std::size_t letter(std::size_t pos, char wanted) const {
    if (byte_at(pos) == wanted) return pos + 1;
    if constexpr (kGrammar.contractions == Contractions::kLowerCase) return kNoMatch;
    if (byte_at(pos) == wanted - 'a' + 'A') return pos + 1;
    if (wanted == 's' && text_.substr(pos, 2) == "\xC5\xBF") return pos + 2;
    return kNoMatch;
  }

  /// 's 't 're 've 'm 'll 'd; `pos` when there is none.
  [[nodiscard]] std::size_t contraction(std::size_t pos) const {
    if (byte_at(pos) != '\'' || pos + 1 >= text_.size()) return pos;
    for (const char single : {'s', 't', 'm', 'd'}) {
      if (const std::size_t end = letter(pos + 1, single); end != kNoMatch) return end;
    }
    for (const std::string_view pair : {"re", "ve", "ll"}) {
      const std::size_t first = letter(pos + 1, pair[0]);
      if (first == kNoMatch || first >= text_.size()) continue;
      if (const std::size_t end = letter(first, pair[1]); end != kNoMatch) return end;
    }
    return pos;
  }

  [[nodiscard]] std::size_t word(std::size_t pos) const {
    const Char first = char_at(pos);
    if constexpr (kGrammar.words == Words::kMixedCase) {
      const bool prefixed = (first.classes & kGrammar.before_word) != 0;
      if (prefixed) {
        if (const std::size_t end = ends_lower(first.end); end != kNoMatch) return end;
      }
      if (const std::size_t end = ends_lower(pos); end != kNoMatch) return end;
      if (prefixed) {
        if (const std::size_t end = starts_upper(first.end); end != kNoMatch) return end;
      }
      return starts_upper(pos);
    }
    if constexpr (kGrammar.words == Words::kAsciiOrSign) {
      const std::size_t letters = first.end;
      if (first.classes != 0 && letters == pos + 1 && (first.classes & kPunctuation) != 0 &&
          is_ascii_letter(byte_at(letters))) {
        std::size_t end = letters;
        while (is_ascii_letter(byte_at(end))) ++end;
        return end;
      }
    }
    const bool prefixed =
        kGrammar.words == Words::kAfterBlank ? byte_at(pos) == ' ' : (first.classes & kGrammar.before_word) != 0;
    if (prefixed) {
      if (const std::size_t end = run_end(first.end, kGrammar.word); end != first.end) return end;
    }
    return (first.classes & kGrammar.word) != 0 ? run_end(first.end, kGrammar.word) : kNoMatch;
  }

  /// "U*L+": as many U as leave an L. A character can be both, so U* may have to give some back.
  [[nodiscard]] std::size_t ends_lower(std::size_t pos) const {
    std::size_t last_both = kNoMatch;  // the end of the last character in the run that is an L too
    Char c = char_at(pos);
    for (; (c.classes & kGrammar.upper) != 0; c = char_at(pos)) {
      if ((c.classes & kGrammar.lower) != 0) last_both = c.end;
      pos = c.end;
    }
    if ((c.classes & kGrammar.lower) != 0) return after_word(run_end(pos, kGrammar.lower));
    return last_both == kNoMatch ? kNoMatch : after_word(last_both);
  }

  /// "U+L*".
  [[nodiscard]] std::size_t starts_upper(std::size_t pos) const {
    const std::size_t end = run_end(pos, kGrammar.upper);
    return end == pos ? kNoMatch : after_word(run_end(end, kGrammar.lower));
  }

  [[nodiscard]] std::size_t after_word(std::size_t pos) const {
    if constexpr (kGrammar.contractions == Contractions::kAfterWords) return contraction(pos);
    return pos;
  }

  static bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

  [[nodiscard]] std::size_t number(std::size_t pos) const {
    if constexpr (kGrammar.max_digits == 0) {
      const std::size_t begin = byte_at(pos) == ' ' ? pos + 1 : pos;
      const std::size_t end = run_end(begin, kNumber);
      return end == begin ? kNoMatch : end;
    }
    std::size_t end = pos;
    for (std::size_t count = 0; count < kGrammar.max_digits; ++count) {
      const Char c = char_at(end);
      if ((c.classes & kNumber) == 0) break;
      end = c.end;
    }
    return end == pos ? kNoMatch : end;
  }

  [[nodiscard]] std::size_t signs(std::size_t pos) const {
    const std::size_t begin = byte_at(pos) == ' ' ? pos + 1 : pos;
    std::size_t end = run_end(begin, kGrammar.signs);
    if (end == begin) return kNoMatch;
    while (end < text_.size() && kGrammar.after_signs.find(text_[end]) != std::string_view::npos) ++end;
    return end;
  }

  [[nodiscard]] std::size_t white_space(std::size_t pos) const {
    std::size_t end = pos;
    std::size_t last = pos;           // where the last character of the run begins
    std::size_t line_end = kNoMatch;  // behind the last line break in it
    for (Char c = char_at(end); (c.classes & kSpace) != 0; c = char_at(end)) {
      if (text_[end] == '\n' || text_[end] == '\r') line_end = c.end;
      last = end;
      end = c.end;
    }
    if (end == pos) return kNoMatch;
    if (kGrammar.lines && line_end != kNoMatch) return line_end;
    // The last blank before a word is left to the word, unless it is the only one.
    return end == text_.size() || last == pos ? end : last;
  }

  std::string_view text_;
  const CodePointClasses& classes_ = CodePointClasses::instance();
};

template <const Grammar& kGrammar>
void scan(std::string_view text, std::vector<Span>& out) {
  Scanner<kGrammar>(text).scan(out);
}

/// Runs of a class, cut after `kMost` characters (0: never).
template <unsigned kMask, std::size_t kMost>
void scan_runs(std::string_view text, std::vector<Span>& out) {
  const CodePointClasses& classes = CodePointClasses::instance();
  std::size_t begin = 0;
  std::size_t count = 0;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t at = pos;
    const auto byte = static_cast<std::uint8_t>(text[pos]);
    const char32_t c = byte < 0x80 ? (++pos, byte) : next_code_point(text, pos);
    if ((classes.of(c) & kMask) == 0) {
      if (count != 0) out.push_back({.begin = begin, .end = at});
      count = 0;
      continue;
    }
    if (count++ == 0) begin = at;
    if (kMost != 0 && count == kMost) {
      out.push_back({.begin = begin, .end = pos});
      count = 0;
    }
  }
  if (count != 0) out.push_back({.begin = begin, .end = text.size()});
}

/// "[0-9][0-9][0-9]".
void scan_three_digits(std::string_view text, std::vector<Span>& out) {
  std::size_t count = 0;
  for (std::size_t pos = 0; pos < text.size(); ++pos) {
    count = text[pos] >= '0' && text[pos] <= '9' ? count + 1 : 0;
    if (count != 3) continue;
    out.push_back({.begin = pos - 2, .end = pos + 1});
    count = 0;
  }
}

constexpr std::string_view kLineBreaks = "\r\n";
constexpr std::string_view kLineBreaksAndSlash = "\r\n/";

constexpr Grammar kGpt2{.contractions = Contractions::kLowerCase, .words = Words::kAfterBlank, .lines = false};
constexpr Grammar kCl100k{.contractions = Contractions::kAnyCase, .max_digits = 3, .after_signs = kLineBreaks};
constexpr Grammar kQwen2{.contractions = Contractions::kAnyCase, .max_digits = 1, .after_signs = kLineBreaks};
constexpr Grammar kQwen35{.contractions = Contractions::kAnyCase,
                          .word = kLetter | kMark,
                          .max_digits = 1,
                          .signs = kOtherUnmarked,
                          .after_signs = kLineBreaks};
constexpr Grammar kO200k{.contractions = Contractions::kAfterWords,
                         .words = Words::kMixedCase,
                         .max_digits = 3,
                         .after_signs = kLineBreaksAndSlash};
constexpr Grammar kTekken{.words = Words::kMixedCase, .max_digits = 1, .after_signs = kLineBreaksAndSlash};
constexpr Grammar kKimi{.han_run = kHan,
                        .contractions = Contractions::kAfterWords,
                        .words = Words::kMixedCase,
                        .upper = kUpperNotHan,
                        .lower = kLowerNotHan,
                        .max_digits = 3,
                        .after_signs = kLineBreaks};
constexpr Grammar kDeepSeek{.words = Words::kAsciiOrSign,
                            .before_word = kNotLetterOrSign,
                            .word = kLetter | kMark,
                            .numbers = false,
                            .signs = kPunctuation,
                            .after_signs = kLineBreaks};

struct KnownPattern {
  std::string_view pattern;
  PatternScanner scanner;
};

constexpr std::string_view kGpt2Text = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr std::array kKnown = {
    KnownPattern{kGpt2Text, scan<kGpt2>},
    // cl100k, Llama 3
    KnownPattern{
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        scan<kCl100k>},
    // Qwen 2 and 3
    KnownPattern{
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        scan<kQwen2>},
    // Qwen 3.5
    KnownPattern{
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        scan<kQwen35>},
    // o200k
    KnownPattern{
        R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        scan<kO200k>},
    // Tekken
    KnownPattern{
        R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        scan<kTekken>},
    // Kimi
    KnownPattern{
        R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        scan<kKimi>},
    // DeepSeek V3's row
    KnownPattern{R"(\p{N}{1,3})", scan_runs<kNumber, 3>},
    KnownPattern{"[一-龥぀-ゟ゠-ヿ]+", scan_runs<kCommonCjk, 0>},
    KnownPattern{"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
                 "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
                 scan<kDeepSeek>},
    // Falcon
    KnownPattern{"[0-9][0-9][0-9]", scan_three_digits},
};

}  // namespace

const char* const kGpt2Pattern = kGpt2Text.data();

PatternScanner find_scanner(std::string_view pattern) {
  for (const KnownPattern& known : kKnown) {
    if (known.pattern == pattern) return known.scanner;
  }
  return nullptr;
}

std::vector<std::string_view> known_patterns() {
  std::vector<std::string_view> patterns;
  for (const KnownPattern& known : kKnown) patterns.push_back(known.pattern);
  return patterns;
}

}  // namespace krait
