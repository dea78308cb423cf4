#include <catch2/catch.hpp>

#include "server/cli/tokenize_line.h"

namespace krait::server {
namespace {

using ordered_json = nlohmann::ordered_json;

/// 256 bytes and five special tokens; a template puts the special token `<s>` first.
std::shared_ptr<const Tokenizer> byte_tokenizer() {
  return value_or_throw(
      load_tokenizer(std::string(KRAIT_SOURCE_DIR) + "/tests/golden/tokenizers/trained-bytes-only/tokenizer.json"));
}

ordered_json parse(const char* text) { return ordered_json::parse(text); }

TEST_CASE("A line of text gives ids and the tokens' spellings") {
  const auto tokenizer = byte_tokenizer();
  for (const bool special : {false, true}) {
    const auto expected = tokenizer->encode("h\xC3\xA9 ", {.add_special_tokens = special});
    const auto answer = answer_tokenize({{"text", "h\xC3\xA9 "}, {"add_special_tokens", special}}, *tokenizer);
    REQUIRE(answer.ok());
    CHECK((*answer)["ids"] == *expected);
    ordered_json tokens = ordered_json::array();
    for (const std::int32_t id : *expected) tokens.push_back(*tokenizer->id_to_token(id));
    CHECK((*answer)["tokens"] == tokens);
  }
  CHECK(answer_tokenize(parse(R"({"text": "a"})"), *tokenizer)->dump() ==
        answer_tokenize(parse(R"({"text": "a", "add_special_tokens": true})"), *tokenizer)->dump());
  CHECK(answer_tokenize(parse(R"({"text": "", "add_special_tokens": false})"), *tokenizer)->dump() ==
        R"({"ids":[],"tokens":[]})");
}

TEST_CASE("A line of ids gives text, whole or in pieces") {
  const auto tokenizer = byte_tokenizer();
  const auto ids = tokenizer->encode("a\xC3\xA9", {.add_special_tokens = false});
  CHECK((*answer_detokenize({{"ids", *ids}}, *tokenizer))["text"] == "a\xC3\xA9");
  CHECK(answer_stream_detokenize({{"ids", *ids}}, tokenizer)->dump() == "{\"pieces\":[\"a\",\"\",\"\xC3\xA9\",\"\"]}");
  const std::vector<std::int32_t> cut(ids->begin(), ids->end() - 1);
  CHECK(answer_stream_detokenize({{"ids", cut}}, tokenizer)->dump() == "{\"pieces\":[\"a\",\"\",\"\xEF\xBF\xBD\"]}");
  CHECK(answer_stream_detokenize({{"ids", ordered_json::array()}}, tokenizer)->dump() == R"({"pieces":[""]})");
  // Ids that no token has give nothing.
  CHECK((*answer_detokenize({{"ids", {2147483647}}}, *tokenizer))["text"] == "");
}

TEST_CASE("Special tokens are skipped unless a line asks for them") {
  const auto tokenizer = byte_tokenizer();
  std::int32_t special = 0;
  while (!tokenizer->is_special(special)) ++special;
  const ordered_json ids = {special};
  CHECK((*answer_detokenize({{"ids", ids}}, *tokenizer))["text"] == "");
  CHECK((*answer_detokenize({{"ids", ids}, {"skip_special_tokens", false}}, *tokenizer))["text"] ==
        *tokenizer->id_to_token(special));
}

TEST_CASE("A wrong line of krait tokenize is an error that names the field") {
  const auto tokenizer = byte_tokenizer();
  for (const auto& [line, words] : std::vector<std::pair<const char*, const char*>>{
           {"{}", "text is missing"},
           {R"({"text": null})", "text is missing"},
           {R"({"text": 1})", "text must be a string"},
           {R"({"text": "a", "add_special_tokens": 1})", "add_special_tokens must be true or false"},
           {R"({"text": "a", "ids": []})", "unknown field 'ids'"}}) {
    INFO(line);
    const auto answer = answer_tokenize(parse(line), *tokenizer);
    REQUIRE_FALSE(answer.ok());
    CHECK_THAT(answer.error().message, Catch::Contains(words));
  }
  for (const auto& [line, words] : std::vector<std::pair<const char*, const char*>>{
           {"{}", "ids is missing"},
           {R"({"ids": "a"})", "ids must be a list of integers"},
           {R"({"ids": [1, "a"]})", "ids must be a list of integers"},
           {R"({"ids": [1.5]})", "ids must be a list of integers"},
           {R"({"ids": [-1]})", "from 0 to 2147483647, found -1"},
           {R"({"ids": [2147483648]})", "found 2147483648"},
           {R"({"ids": [18446744073709551616]})", "ids must be a list of integers"},
           {R"({"ids": [], "skip_special_tokens": "no"})", "skip_special_tokens must be true or false"},
           {R"({"ids": [], "text": ""})", "unknown field 'text'"}}) {
    INFO(line);
    const auto text = answer_detokenize(parse(line), *tokenizer);
    const auto pieces = answer_stream_detokenize(parse(line), tokenizer);
    REQUIRE_FALSE(text.ok());
    REQUIRE_FALSE(pieces.ok());
    CHECK_THAT(text.error().message, Catch::Contains(words));
    CHECK(pieces.error().message == text.error().message);
  }
}

}  // namespace
}  // namespace krait::server
