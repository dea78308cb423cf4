// The oracle is Oniguruma itself: a scanner must find what the pattern finds, on every code point and on random text.
#include "models/tokenizer/known_patterns.h"

#include "models/tokenizer/utf8.h"
#include "tests/models/tokenizer/fixtures.h"

namespace krait {

static bool operator==(Span a, Span b) { return a.begin == b.begin && a.end == b.end; }

namespace {

/// Both ways of finding one pattern.
struct Pair {
  PatternScanner scanner;
  Regex regex;

  explicit Pair(std::string_view pattern)
      : scanner(find_scanner(pattern)),
        regex(std::string(pattern), LoadContext{.file = "test"}, Regex::Engine::kOniguruma) {}

  [[nodiscard]] bool agree(std::string_view text) const {
    std::vector<Span> found;
    std::vector<Span> expected;
    scanner(text, found);
    return regex.find_all(text, expected).ok() && found == expected;
  }
};

bool is_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

std::string text_of(std::initializer_list<char32_t> characters) {
  std::string text;
  for (const char32_t c : characters) append_code_point(c, text);
  return text;
}

/// What decides where pieces end, and some of each class: blanks of many widths, line breaks, marks, cased and uncased
/// letters, digits of several kinds, signs, the letters of contractions, characters that no class has.
constexpr char32_t kAlphabet[] = {
    ' ',    ' ',    ' ',     '\n',   '\n',   '\r',   '\t',     0x0B,   0x85,   0xA0,   0x2003, 0x2028, 0x3000, 0x200B,
    '\'',   '\'',   's',     'S',    0x17F,  't',    'T',      'r',    'E',    'e',    'v',    'V',    'm',    'l',
    'L',    'd',    'D',     'a',    'Z',    0xE9,   0xC9,     0x1C5,  0x2B0,  0xAA,   0x5D0,  0x4E00, 0x9FA5, 0x9FA6,
    0x3007, 0x3041, 0x30FC,  0x30FF, 0x3005, 0xAC00, 0x301,    0x20DD, 0x93F,  0xFE0F, '0',    '1',    '9',    0x660,
    0x2167, 0xBD,   0x1D7CE, '!',    '/',    '/',    '_',      '$',    '+',    '^',    '`',    0x2019, 0x20AC, 0x1F600,
    0x200D, 0x0,    0x7F,    0xAD,   0xE000, 0x378,  0x10FFFF, 0xFB06, 0x2E80, 0x302A, 0x212A, 0x1E9E};

TEST_CASE("A scanner finds what its pattern finds in random text") {
  std::mt19937 random(5);
  const auto pick = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
  for (const std::string_view pattern : known_patterns()) {
    const Pair pair(pattern);
    for (int round = 0; round < 20000; ++round) {
      std::string text;
      const std::size_t alphabet = round % 2 == 0 ? std::size(kAlphabet) : 1 + pick(std::size(kAlphabet));
      const std::size_t shift = pick(std::size(kAlphabet));
      for (std::size_t length = pick(24); length > 0; --length) {
        append_code_point(kAlphabet[(shift + pick(alphabet)) % std::size(kAlphabet)], text);
      }
      if (!pair.agree(text)) FAIL("the pattern " << pattern << " differs on '" << text << "'");
    }
  }
}

/// Planes 4 to 13 have no character yet, 15 and 16 are for private use: some of each will do.
bool is_sampled_only(char32_t c) { return c >= 0x40000 && (c < 0xE0000 || c >= 0xF0000); }

TEST_CASE("A scanner finds what its pattern finds around every code point") {
  for (const std::string_view pattern : known_patterns()) {
    const Pair pair(pattern);
    std::string text;
    for (char32_t c = 0; c < 0x110000; c += is_sampled_only(c) ? 61 : 1) {
      if (is_surrogate(c)) continue;
      // Many in one search are much faster; the contexts keep each other apart well enough to find a difference.
      text += text_of({' ', c, 'a', c, c, 'B', '\n', ' ', c, '1', c, 0x301, '\'', c, 'A', '!'});
      if (c < 0x3000) text += text_of({' ', ' ', c, '\r', 'A', c, '.', '\'', 'r', c, 'a', '\'', c, 'e', 0x4E00, c});
      if (text.size() < 4096 && c < 0x10FFC0) continue;
      if (!pair.agree(text)) FAIL("the pattern " << pattern << " differs up to U+" << std::hex << std::uint32_t{c});
      text.clear();
    }
  }
}

TEST_CASE("A scanner agrees at the ends of a text") {
  for (const std::string_view pattern : known_patterns()) {
    const Pair pair(pattern);
    for (const char32_t first : kAlphabet) {
      CHECK(pair.agree(text_of({first})));
      for (const char32_t second : kAlphabet) {
        CHECK(pair.agree(text_of({first, second})));
        CHECK(pair.agree(text_of({'A', first, second})));
        CHECK(pair.agree(text_of({first, '\'', second})));
      }
    }
    CHECK(pair.agree(""));
  }
}

TEST_CASE("A scanner takes time linear in the text") {
  const std::vector<std::string> units = {" ",
                                          "\n",
                                          "a",
                                          "A",
                                          "'",
                                          "1",
                                          "!",
                                          "/",
                                          "aA",
                                          "a\xCC\x81",
                                          "\xE4\xB8\x80",
                                          "\xE4\xB8\x80"
                                          "A"};
  for (const std::string_view pattern : known_patterns()) {
    for (const std::string& unit : units) {
      std::string text;
      while (text.size() < (1U << 18)) text += unit;
      std::vector<Span> found;
      find_scanner(pattern)(text, found);
      find_scanner(pattern)(text + "x", found);
      for (const Span& span : found) REQUIRE(span.begin < span.end);
    }
  }
}

TEST_CASE("Only the exact text of a known pattern has a scanner") {
  CHECK(find_scanner(kGpt2Pattern) != nullptr);
  CHECK(find_scanner(std::string(kGpt2Pattern) + " ") == nullptr);
  CHECK(find_scanner("") == nullptr);
  CHECK(find_scanner(R"(\s+)") == nullptr);
}

}  // namespace
}  // namespace krait
