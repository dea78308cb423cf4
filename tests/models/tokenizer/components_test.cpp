#include <chrono>

#include "models/tokenizer/split_behavior.h"
#include "tests/models/tokenizer/fixtures.h"

namespace krait::test {
namespace {

using Ids = std::vector<std::int32_t>;

/// The pieces of `text` with the delimiter "-".
std::vector<std::string> split_at_dashes(const std::string& text, SplitBehavior behavior, bool invert = false) {
  std::vector<Span> dashes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') dashes.push_back({.begin = i, .end = i + 1});
  }
  std::vector<Span> pieces;
  append_split(split_parts({.begin = 0, .end = text.size()}, dashes, invert), behavior, pieces);
  std::vector<Span> at_once;
  append_split({.begin = 0, .end = text.size()}, dashes, invert, behavior, at_once);
  REQUIRE(at_once.size() == pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    CHECK((at_once[i].begin == pieces[i].begin && at_once[i].end == pieces[i].end));
  }
  std::vector<std::string> result;
  for (const Span& piece : pieces) result.push_back(text.substr(piece.begin, piece.end - piece.begin));
  return result;
}

TEST_CASE("each split behaviour does with its delimiters what its name says") {
  using Pieces = std::vector<std::string>;
  CHECK(split_at_dashes("a-b--c", SplitBehavior::kRemoved) == Pieces{"a", "b", "c"});
  CHECK(split_at_dashes("a-b--c", SplitBehavior::kIsolated) == Pieces{"a", "-", "b", "-", "-", "c"});
  CHECK(split_at_dashes("a-b--c", SplitBehavior::kMergedWithPrevious) == Pieces{"a-", "b-", "-", "c"});
  CHECK(split_at_dashes("a-b--c", SplitBehavior::kMergedWithNext) == Pieces{"a", "-b", "-", "-c"});
  CHECK(split_at_dashes("a-b--c", SplitBehavior::kContiguous) == Pieces{"a", "-", "b", "--", "c"});
  CHECK(split_at_dashes("a-b", SplitBehavior::kRemoved, true) == Pieces{"-"});
}

TEST_CASE("added tokens obey their flags") {
  auto json = small_tokenizer();
  const auto with_flags = [&json](const nlohmann::json& flags) {
    json["added_tokens"] = {{{"id", 8}, {"content", "bd"}, {"normalized", false}, {"special", false}}};
    json["added_tokens"][0].update(flags);
    return load_json(json);
  };
  CHECK(encode(*with_flags(nlohmann::json::object()), "a bd cbde") == Ids{0, 5, 8, 5, 2, 8, 4});
  CHECK(encode(*with_flags({{"single_word", true}}), "a bd cbde") == Ids{0, 5, 8, 5, 2, 1, 3, 4});
  CHECK(encode(*with_flags({{"lstrip", true}}), "a  bd c") == Ids{0, 8, 5, 2});
  CHECK(encode(*with_flags({{"rstrip", true}}), "a bd  c") == Ids{0, 5, 8, 2});
  json["normalizer"] = {{"type", "Lowercase"}};
  CHECK(encode(*with_flags({{"normalized", true}}), "aBDc") == Ids{0, 8, 2});
  CHECK(encode(*with_flags({{"normalized", false}}), "aBDc") == Ids{6, 3, 2});
}

TEST_CASE("the longest added token wins, and special ones can be left out of text") {
  auto json = small_tokenizer();
  json["added_tokens"].push_back({{"id", 9}, {"content", "<end>!"}, {"special", false}, {"normalized", false}});
  const auto tokenizer = load_json(json);
  CHECK(encode(*tokenizer, "a<end>!<end>") == Ids{0, 9, 8});
  CHECK(tokenizer->decode(Ids{0, 8, 9}, true) == "a<end>!");
  CHECK(tokenizer->is_special(8));
  CHECK_FALSE(tokenizer->is_special(9));
  CHECK(tokenizer->vocab_size() == 10);
  CHECK(tokenizer->token_to_id("abc") == 7);
  CHECK(tokenizer->id_to_token(5) == "Ġ");
  CHECK_FALSE(tokenizer->id_to_token(10).has_value());
  CHECK(tokenizer->decode(Ids{-1, 0, 10, 1 << 30}, false) == "a");
}

TEST_CASE("a template puts its special tokens around the text only when asked") {
  auto json = small_tokenizer();
  json["post_processor"] = nlohmann::json::parse(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"},
    {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
     "pair": [], "special_tokens": {"<end>": {"id": "<end>", "ids": [8], "tokens": ["<end>"]}}}]})");
  const auto tokenizer = load_json(json);
  CHECK(encode(*tokenizer, "ab", true) == Ids{8, 6});
  CHECK(encode(*tokenizer, "ab", false) == Ids{6});
  CHECK(encode(*tokenizer, "", true) == Ids{8});
}

TEST_CASE("merges may be spelled as pairs, and ignore_merges takes a whole word first") {
  auto json = small_tokenizer();
  json["model"]["merges"] = nlohmann::json::parse(R"([["a", "b"], ["ab", "c"]])");
  CHECK(encode(*load_json(json), "abcd") == Ids{7, 3});
  json["model"]["merges"] = nlohmann::json::array();
  CHECK(encode(*load_json(json), "abc") == Ids{0, 1, 2});
  json["model"]["ignore_merges"] = true;
  CHECK(encode(*load_json(json), "abc") == Ids{7});
}

TEST_CASE("text that is not UTF-8 is refused") {
  const auto tokenizer = demo_tokenizer();
  for (const std::string text : {"\xFF", "ab\xC3", "\xED\xA0\x80", "\xC0\xAF", "\xF4\x90\x80\x80"}) {
    const auto ids = tokenizer->encode(text, {});
    REQUIRE_FALSE(ids.ok());
    CHECK(ids.error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("long texts without a break take no more than linear time") {
  const auto tokenizer = demo_tokenizer();
  std::string marks;
  for (int i = 0; i < 200'000; ++i)
    marks += i % 2 == 0 ? "\xCC\x81" : "\xCC\xA3";  // marks of two classes, for the normalizer to order
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& text :
       {std::string(1 << 20, 'a'), std::string(1 << 20, ' '), std::string(1 << 20, '\n'), marks}) {
    CHECK(tokenizer->encode(text, {}).ok());
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}

TEST_CASE("random text survives a round trip") {
  const auto tokenizer = demo_tokenizer();
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (std::size_t i = random() % 60; i > 0; --i) {
      // ASCII and precomposed letters: NFC leaves them as they are.
      if (random() % 3 == 0) {
        text += "\xC3";
        text += static_cast<char>(0x80 + random() % 0x40);
      } else {
        text += static_cast<char>(random() % 128);
      }
    }
    CHECK(tokenizer->decode(encode(*tokenizer, text), false) == text);
  }
}

}  // namespace
}  // namespace krait::test
