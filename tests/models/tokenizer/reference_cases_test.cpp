// Corners that differ easily, with what Hugging Face's `tokenizers` 0.23.3 gives for them; found by comparing random
// configurations.
#include "tests/models/tokenizer/fixtures.h"

namespace krait::test {
namespace {

using Ids = std::vector<std::int32_t>;

/// A BPE vocabulary of single characters and <unk>, in which each piece of a pre-tokenizer that holds unknown
/// characters only becomes one <unk>.
nlohmann::json fusing_tokenizer() {
  return nlohmann::json::parse(R"({
    "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true,
              "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "▁": 4, "▁a": 5}, "merges": [["a", "b"], ["▁", "a"]]}})");
}

std::size_t pieces_of(const std::string& pre_tokenizer, const std::string& text) {
  auto json = fusing_tokenizer();
  json["pre_tokenizer"] = nlohmann::json::parse(pre_tokenizer);
  return encode(*load_json(json), text).size();
}

Ids ids_with(const nlohmann::json& changes, const std::string& text) {
  auto json = fusing_tokenizer();
  json.merge_patch(changes);
  return encode(*load_json(json), text);
}

TEST_CASE("an empty string as a pattern matches between all characters") {
  CHECK(pieces_of(R"({"type": "Split", "pattern": {"String": ""}, "behavior": "MergedWithNext", "invert": false})",
                  "ab") == 2);
  CHECK(ids_with({{"normalizer", {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "b"}}}}, "aa") ==
        Ids{2, 3, 3});
}

TEST_CASE("pre-tokenizers cut where the reference does") {
  CHECK(pieces_of(R"({"type": "Whitespace"})", "x,y z") == 4);
  CHECK(pieces_of(R"({"type": "WhitespaceSplit"})", "x,y z") == 2);
  CHECK(pieces_of(R"({"type": "BertPreTokenizer"})", "x,, z") == 4);
  CHECK(pieces_of(R"({"type": "CharDelimiterSplit", "delimiter": "y"})", "xyyz") == 2);
  CHECK(pieces_of(R"({"type": "FixedLength", "length": 2})", "xyzé!") == 3);
}

TEST_CASE("characters are classed by the Unicode versions that the reference uses") {
  const std::string digits = R"({"type": "Digits", "individual_digits": true})";
  CHECK(pieces_of(digits, "x٣x") == 3);
  CHECK(pieces_of(digits, "x\U00010D40x") == 3);  // Unicode 16
  const std::string punctuation = R"({"type": "Punctuation"})";
  CHECK(pieces_of(punctuation, "x–x") == 3);
  CHECK(pieces_of(punctuation, "x\u2E52x") == 1);  // punctuation since Unicode 14, but the table is of version 8
  CHECK(pieces_of(R"({"type": "Whitespace"})", "x\u1C89x") == 1);
  CHECK(pieces_of(R"({"type": "Split", "pattern": {"Regex": "[[:punct:]]"}, "behavior": "Isolated", "invert": false})",
                  "x<x😀x") == 5);
  CHECK(pieces_of(R"({"type": "UnicodeScripts"})", "xжアひ漢ーy x.z") == 6);
  CHECK(pieces_of(R"({"type": "UnicodeScripts"})", "  x") == 1);
  const auto normalized = [](const std::string& type, const std::string& text) {
    auto json = fusing_tokenizer();
    json["normalizer"] = {{"type", type}};
    json["added_tokens"] = {{{"id", 6}, {"content", text}, {"normalized", true}}};
    const auto tokenizer = load_json(json);
    return tokenizer->decode(Ids{*tokenizer->token_to_id(text)}, false);
  };
  CHECK(normalized("NFC", "e\u0301") == "é");
  CHECK(normalized("NFC", "e\u07FD\u0301") == "e\u07FD\u0301");  // a mark since Unicode 11, unknown to the table
  CHECK(normalized("NFKC", "㍿㋿") == "株式会社㋿");
  CHECK(normalized("Lowercase", "AİÉ\U00010D50") == "ai\u0307é\U00010D70");
  CHECK(normalized("StripAccents", "e\u0301x") == "ex");
}

TEST_CASE("an unknown token waits while byte tokens pass it") {
  const nlohmann::json bytes = {{"model", {{"byte_fallback", true}, {"fuse_unk", false}, {"vocab", {{"<0x78>", 6}}}}}};
  CHECK(ids_with(bytes, "yxa") == Ids{6, 0, 1});
  CHECK(ids_with(bytes, "yx") == Ids{6, 0});
}

TEST_CASE("a prefix marks what continues a piece, and a suffix its end") {
  const nlohmann::json marked = {{"model",
                                  {{"continuing_subword_prefix", "##"},
                                   {"end_of_word_suffix", "$"},
                                   {"vocab", {{"##b", 6}, {"##b$", 7}, {"ab$", 8}, {"a$", 9}}},
                                   {"merges", nlohmann::json::array({nlohmann::json::array({"a", "##b$"})})}}}};
  CHECK(ids_with(marked, "ab") == Ids{8});
  CHECK(ids_with(marked, "abb") == Ids{1, 6, 7});
  CHECK(ids_with(marked, "a") == Ids{9});
}

TEST_CASE("Metaspace puts its blank before the first piece only, where the text itself begins") {
  const auto with = [](const std::string& scheme) {
    return nlohmann::json{{"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}}},
                          {"added_tokens", {{{"id", 6}, {"content", "<x>"}, {"special", true}}}}};
  };
  CHECK(ids_with(with("first"), "a<x>a a") == Ids{5, 6, 1, 5});
  CHECK(ids_with(with("always"), "a<x>a a") == Ids{5, 6, 5, 5});
  CHECK(ids_with(with("never"), "a<x>a a") == Ids{1, 6, 1, 5});
  auto stripped = with("first");
  stripped["normalizer"] = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}};
  CHECK(ids_with(stripped, " a") == Ids{1});  // the text begins with the blank that is gone
}

TEST_CASE("added tokens are numbered as the reference does, and decode to their normalized spelling") {
  auto json = fusing_tokenizer();
  json["normalizer"] = {{"type", "Lowercase"}};
  json["added_tokens"] = {{{"id", 40}, {"content", "FOO"}, {"special", true}, {"normalized", true}},
                          {{"id", 9}, {"content", "a"}, {"special", false}, {"normalized", true}}};
  const auto tokenizer = load_json(json);
  CHECK(encode(*tokenizer, "foo a") == Ids{6, 0, 1});
  CHECK(tokenizer->token_to_id("FOO") == 6);
  CHECK(tokenizer->decode(Ids{6}, true) == "foo");
  CHECK(tokenizer->notes().size() == 2);
}

TEST_CASE("an added token of white space that its neighbour has taken is gone") {
  auto json = fusing_tokenizer();
  json["added_tokens"] = {{{"id", 6}, {"content", " "}, {"lstrip", true}, {"rstrip", true}, {"normalized", false}}};
  CHECK(encode(*load_json(json), "  a") == Ids{6, 1});
}

TEST_CASE("an added token that is listed twice keeps a normalized spelling") {
  auto json = fusing_tokenizer();
  json["normalizer"] = {{"type", "Lowercase"}};
  json["added_tokens"] = {{{"id", 6}, {"content", "X"}, {"normalized", true}, {"special", false}},
                          {{"id", 6}, {"content", "X"}, {"normalized", false}, {"special", false}}};
  const auto tokenizer = load_json(json);
  CHECK(encode(*tokenizer, "Xx") == Ids{6, 0});
  CHECK(tokenizer->decode(Ids{6}, false) == "x");
}

TEST_CASE("Unigram breaks ties and joins unknown characters as the reference does") {
  auto json = fusing_tokenizer();
  json["model"] = nlohmann::json::parse(R"({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab":
    [["<unk>", 0], ["a", -1], ["b", -1], ["ab", -2], ["xy", -30], ["abc", -9.5]]})");
  const auto tokenizer = load_json(json);
  CHECK(encode(*tokenizer, "ab") == Ids{3});  // the first of equals: the token that starts earlier
  CHECK(encode(*tokenizer, "azzb") == Ids{1, 0, 2});
  CHECK(encode(*tokenizer, "xy") == Ids{4});
  CHECK(encode(*tokenizer, "abc") == Ids{5});
  json["model"]["unk_id"] = nullptr;
  const auto refusing = load_json(json);
  CHECK(encode(*refusing, "ab") == Ids{3});
  CHECK_FALSE(refusing->encode("az", {}).ok());
}

TEST_CASE("a long text without a break takes no more than linear time in Unigram and SentencePiece BPE") {
  for (const std::string name : {"t5-small", "phi-3", "trained-unigram-bytefallback"}) {
    const auto tokenizer = load_packed(source_path("tests/golden/tokenizers/" + name + "/tokenizer.json"));
    for (const std::string& text : {std::string(1 << 20, 'a'), std::string(1 << 20, ' ')}) {
      CHECK(tokenizer->encode(text, {}).ok());
    }
  }
}

std::string decoded(const nlohmann::json& decoder, const std::vector<std::string>& tokens) {
  auto json = fusing_tokenizer();
  json["decoder"] = decoder;
  Ids ids;
  for (const std::string& token : tokens) {
    if (!json["model"]["vocab"].contains(token)) {
      json["model"]["vocab"][token] = static_cast<int>(json["model"]["vocab"].size());
    }
    ids.push_back(json["model"]["vocab"][token].get<std::int32_t>());
  }
  const auto tokenizer = load_json(json);
  const std::string text = tokenizer->decode(ids, false);
  IncrementalDetokenizer stream(tokenizer, false);
  std::string streamed;
  for (const std::int32_t id : ids) streamed += stream.push(id);
  CHECK(streamed + stream.flush() == text);
  return text;
}

TEST_CASE("decoders join tokens as the reference does, streamed or not") {
  const auto sequence = [](const nlohmann::json& decoders) {
    return nlohmann::json{{"type", "Sequence"}, {"decoders", decoders}};
  };
  const nlohmann::json fuse = {{"type", "Fuse"}};
  const auto strip = [](int start, int stop) {
    return nlohmann::json{{"type", "Strip"}, {"content", "-"}, {"start", start}, {"stop", stop}};
  };
  CHECK(decoded(nullptr, {"x", "y"}) == "x y");
  CHECK(decoded({{"type", "ByteFallback"}}, {"x", "<0xE4>", "<0xBD>", "<0xA0>", "y"}) == "x你y");
  CHECK(decoded({{"type", "ByteFallback"}}, {"<0xE4>", "<0xBD>", "y"}) == "\uFFFD\uFFFDy");
  CHECK(decoded(strip(1, 1), {"--x--", "-"}) == "-x-");
  CHECK(decoded(sequence({fuse, strip(2, 2)}), {"-", "-", "-x-", "y-", "-", "-"}) == "-x-y-");
  const nlohmann::json replace = {{"type", "Replace"}, {"pattern", {{"String", "ab"}}}, {"content", "!"}};
  CHECK(decoded(replace, {"a", "b", "ab"}) == "ab!");
  CHECK(decoded(sequence({fuse, replace}), {"xa", "b", "a"}) == "x!a");
  CHECK(decoded({{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}}, {"▁x▁", "▁y"}) == "x y");
  CHECK(decoded({{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}, {"x", "##y", ".", "z"}) == "xy. z");
  CHECK(decoded({{"type", "BPEDecoder"}, {"suffix", "$"}}, {"x$", "y", "z$"}) == "x yz");
  CHECK(decoded({{"type", "CTC"}, {"pad_token", "_"}, {"word_delimiter_token", "|"}, {"cleanup", true}},
                {"x", "x", "_", "x", "|", "y"}) == "xx y");
}

TEST_CASE("a decoder in the middle of a chain keeps its tokens whole when streamed") {
  const nlohmann::json suffix = {{"type", "BPEDecoder"}, {"suffix", "$"}};
  const nlohmann::json ctc = {{"type", "CTC"}, {"pad_token", "_"}, {"word_delimiter_token", "|"}, {"cleanup", false}};
  CHECK(decoded({{"type", "Sequence"}, {"decoders", {suffix, ctc}}}, {"x", "x", "y$", "y$", "z"}) == "xy z");
}

TEST_CASE("templates may be written in short, and repeat or leave out the text") {
  auto json = fusing_tokenizer();
  json["post_processor"] = nlohmann::json::parse(R"({"type": "TemplateProcessing", "single": "x:1 $A:0 x:1:2 $0",
    "pair": ["$A", "$B:1"], "special_tokens": {"x:1": {"id": "x:1", "ids": [4, 2], "tokens": ["a", "b"]}}})");
  CHECK(encode(*load_json(json), "a", true) == Ids{4, 2, 1, 4, 2, 1});
  CHECK(encode(*load_json(json), "a", false) == Ids{1, 1});
}

}  // namespace
}  // namespace krait::test
