#include <catch2/catch.hpp>

#include "server/service/answer_assembler.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

/// All deltas of one answer.
struct Collected {
  std::string text;
  std::vector<OutputToken> tokens;
  bool stopped = false;
};

Collected assemble(const std::string& bytes, AssemblerOptions options, std::optional<std::int32_t> stop_token = {}) {
  AnswerAssembler assembler(std::make_shared<ByteTokenizer>(), std::move(options));
  Collected all;
  const auto add = [&](Delta& delta) {
    all.text += delta.text;
    all.tokens.insert(all.tokens.end(), delta.tokens.begin(), delta.tokens.end());
  };
  for (char byte : bytes) {
    Delta delta;
    all.stopped =
        assembler.push({.token = static_cast<unsigned char>(byte), .logprob = -1, .rank = 1, .top = {}}, false, delta);
    add(delta);
    if (all.stopped) return all;
  }
  Delta delta;
  if (stop_token.has_value()) {
    all.stopped = assembler.push({.token = *stop_token, .logprob = -1, .rank = 1, .top = {}}, true, delta);
  }
  assembler.finish(delta);
  add(delta);
  return all;
}

TEST_CASE("Tokens become text, each with its offset in characters") {
  const Collected all = assemble("abc", {.stop = {}, .logprobs = true});
  CHECK(all.text == "abc");
  REQUIRE(all.tokens.size() == 3);
  CHECK(all.tokens[2].text_offset == 2);
  CHECK(all.tokens[2].chosen.bytes == "c");
}

TEST_CASE("Half a character is not shown, and offsets count characters") {
  const Collected all = assemble("é€x", {.stop = {}, .logprobs = true});
  CHECK(all.text == "é€x");
  REQUIRE(all.tokens.size() == 6);
  CHECK(all.tokens[0].chosen.bytes == "\xC3");
  CHECK(all.tokens[5].text_offset == 2);
}

TEST_CASE("A stop string ends the answer and neither its text nor its tokens are shown") {
  const Collected all = assemble("one END two", {.stop = {"END"}});
  CHECK(all.stopped);
  CHECK(all.text == "one ");
  CHECK(all.tokens.size() == 4);
}

TEST_CASE("A stop string is shown when asked for") {
  const Collected all = assemble("one END two", {.stop = {"END"}, .include_stop_str_in_output = true});
  CHECK(all.stopped);
  CHECK(all.text == "one END");
  CHECK(all.tokens.size() == 7);
}

TEST_CASE("What was held back is shown when the answer ends otherwise") {
  const Collected all = assemble("one EN", {.stop = {"END"}});
  CHECK_FALSE(all.stopped);
  CHECK(all.text == "one EN");
  CHECK(all.tokens.size() == 6);
}

TEST_CASE("Stop strings before min_tokens do not count") {
  CHECK(assemble("ababab", {.stop = {"b"}, .min_tokens = 3}).text == "aba");
}

TEST_CASE("A stop token is counted, and its text hidden unless asked for") {
  const Collected hidden = assemble("hi", {.stop = {}}, '!');
  CHECK(hidden.text == "hi");
  CHECK(hidden.tokens.size() == 3);
  CHECK(assemble("hi", {.stop = {}, .include_stop_str_in_output = true}, '!').text == "hi!");
}

TEST_CASE("Special tokens are hidden, or shown when asked for") {
  CHECK(assemble("hi", {.stop = {}}, kFakeEos).text == "hi");
  CHECK(assemble("hi", {.stop = {}, .include_stop_str_in_output = true, .skip_special_tokens = false}, kFakeEos).text ==
        "hi<0>");
}

TEST_CASE("Without a tokenizer there are tokens and no text") {
  AnswerAssembler assembler(nullptr, {.stop = {}});
  Delta delta;
  assembler.push({.token = 7, .logprob = 0, .rank = 0, .top = {}}, false, delta);
  assembler.finish(delta);
  CHECK(delta.text.empty());
  REQUIRE(delta.tokens.size() == 1);
  CHECK(delta.tokens[0].chosen.id == 7);
}

TEST_CASE("Special tokens that mark calls or reasoning are shown, others stay hidden") {
  AssemblerOptions options{.stop = {}};
  options.shown_special_tokens = {257};
  AnswerAssembler assembler(std::make_shared<ByteTokenizer>(), options);
  Delta delta;
  for (std::int32_t id : {97, 257, 98, 258, 99}) assembler.push(SampledToken{.token = id}, false, delta);
  assembler.push(SampledToken{.token = 257}, true, delta);
  assembler.finish(delta);
  CHECK(delta.text == "a<1>bc");
}

}  // namespace
}  // namespace krait::server
