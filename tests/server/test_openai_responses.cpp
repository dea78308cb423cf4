#include <catch2/catch.hpp>
#include <limits>

#include "server/openai/logprobs_json.h"
#include "server/openai/responses.h"

namespace krait::server {
namespace {

using nlohmann::json;

ResponseHead head(ApiKind kind) { return {.kind = kind, .id = "id-1", .model = "m", .created = 5}; }

CandidateToken candidate(std::int32_t id, const std::string& bytes, float logprob) {
  CandidateToken token;
  token.id = id;
  token.bytes = bytes;
  token.logprob = logprob;
  return token;
}

Delta delta_of(const std::string& text) {
  OutputToken token;
  token.chosen = candidate(65, text, -0.5F);
  token.top.push_back(candidate(65, text, -0.5F));
  token.top.push_back(candidate(66, "B", -2.0F));
  token.text_offset = 3;
  Delta delta;
  delta.text = text;
  delta.tokens.push_back(token);
  return delta;
}

/// The JSON objects of a run of frames; [DONE] becomes the string.
std::vector<json> parse_frames(const std::string& frames) {
  std::vector<json> out;
  for (std::size_t at = 0; at < frames.size();) {
    const std::size_t end = frames.find("\n\n", at);
    REQUIRE(end != std::string::npos);
    const std::string line = frames.substr(at, end - at);
    REQUIRE(line.starts_with("data: "));
    REQUIRE(line.find('\n') == std::string::npos);
    out.push_back(line == "data: [DONE]" ? json("[DONE]") : json::parse(line.substr(6)));
    at = end + 2;
  }
  return out;
}

TEST_CASE("A completion that is not streamed") {
  ResponseBuilder builder(head(ApiKind::kCompletions));
  builder.add(delta_of("A"));
  builder.add(delta_of("b"));
  builder.add(ChoiceFinished{.index = 0, .reason = FinishReason::kLength, .stop_string = {}, .stop_token = {}});
  const json body = json::parse(builder.body({.prompt_tokens = 3, .cached_tokens = 1, .completion_tokens = 2}));
  CHECK(body == json::parse(R"({"id": "id-1", "object": "text_completion", "created": 5, "model": "m",
    "choices": [{"index": 0, "text": "Ab", "logprobs": null, "finish_reason": "length", "stop_reason": null}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}}})"));
}

TEST_CASE("A chat that is not streamed, with logprobs and ids") {
  ResponseHead with = head(ApiKind::kChat);
  with.logprobs = true;
  with.return_token_ids = true;
  ResponseBuilder builder(with);
  builder.add(delta_of("A"));
  builder.add(ChoiceFinished{.index = 0, .reason = FinishReason::kStop, .stop_string = "END", .stop_token = {}});
  const json choice = json::parse(builder.body({}))["choices"][0];
  CHECK(choice["message"] == json::parse(R"({"role": "assistant", "content": "A"})"));
  CHECK(choice["finish_reason"] == "stop");
  CHECK(choice["stop_reason"] == "END");
  CHECK(choice["token_ids"] == json::parse("[65]"));
  CHECK(choice["logprobs"] ==
        json::parse(R"({"content": [{"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": [
      {"token": "A", "logprob": -0.5, "bytes": [65]}, {"token": "B", "logprob": -2.0, "bytes": [66]}]}]})"));
}

TEST_CASE("Logprobs of completions") {
  CHECK(json::parse(completion_logprobs(delta_of("A").tokens).dump()) ==
        json::parse(R"({"tokens": ["A"], "token_logprobs": [-0.5],
      "top_logprobs": [{"A": -0.5, "B": -2.0}], "text_offset": [3]})"));
}

TEST_CASE("Half a character is written as bytes, and an impossible token has a finite logprob") {
  CHECK(token_text("\xE2\x82") == "bytes:\\xe2\\x82");
  Delta delta = delta_of("A");
  delta.tokens[0].chosen.logprob = -std::numeric_limits<float>::infinity();
  CHECK(completion_logprobs(delta.tokens)["token_logprobs"][0] == -9999.0);
}

TEST_CASE("A chat stream begins with the role, ends with the reason and [DONE]") {
  StreamFormatter formatter(head(ApiKind::kChat));
  std::string all = formatter.frames(Started{.prompt_tokens = 3});
  CHECK(all.empty());
  all += formatter.frames(delta_of("A \"quoted\"\nline"));
  all += formatter.frames(delta_of("B"));
  all +=
      formatter.frames(ChoiceFinished{.index = 0, .reason = FinishReason::kStop, .stop_string = {}, .stop_token = 7});
  all += formatter.frames(Completed{});
  const std::vector<json> frames = parse_frames(all);
  REQUIRE(frames.size() == 5);
  CHECK(frames[0]["choices"][0]["delta"] == json::parse(R"({"role": "assistant", "content": ""})"));
  CHECK(frames[0]["object"] == "chat.completion.chunk");
  CHECK(frames[1]["choices"][0]["delta"]["content"] == "A \"quoted\"\nline");
  CHECK(frames[1]["choices"][0]["finish_reason"].is_null());
  CHECK_FALSE(frames[1].contains("usage"));
  CHECK(frames[3]["choices"][0]["finish_reason"] == "stop");
  CHECK(frames[3]["choices"][0]["stop_reason"] == 7);
  CHECK(frames[4] == "[DONE]");
}

TEST_CASE("With include_usage the last chunk has no choices and the usage, the others a null") {
  ResponseHead with = head(ApiKind::kCompletions);
  with.include_usage = true;
  StreamFormatter formatter(with);
  const auto frames = parse_frames(formatter.frames(delta_of("A")) +
                                   formatter.frames(Completed{.usage = {.prompt_tokens = 1, .completion_tokens = 2}}));
  REQUIRE(frames.size() == 3);
  CHECK(frames[0]["usage"].is_null());
  CHECK(frames[0]["choices"][0]["text"] == "A");
  CHECK(frames[1]["choices"].empty());
  CHECK(frames[1]["usage"]["total_tokens"] == 3);
}

TEST_CASE("A token without text makes no chunk unless somebody asked for tokens") {
  StreamFormatter plain(head(ApiKind::kCompletions));
  CHECK(plain.frames(delta_of("")).empty());
  ResponseHead with = head(ApiKind::kCompletions);
  with.logprobs = true;
  CHECK(parse_frames(StreamFormatter(with).frames(delta_of(""))).size() == 1);
}

TEST_CASE("An error after the first byte is a chunk with the error object") {
  const auto frames = parse_frames(StreamFormatter(head(ApiKind::kChat))
                                       .frames(Error{.code = ErrorCode::kInternal, .message = "boom", .field = {}}));
  REQUIRE(frames.size() == 2);
  CHECK(frames[0]["error"]["message"] == "boom");
  CHECK(frames[1] == "[DONE]");
}

TEST_CASE("A completion that echoes its prompt, with scores and ids") {
  ResponseHead with = head(ApiKind::kCompletions);
  with.logprobs = true;
  with.return_token_ids = true;
  PromptEcho prompt{.index = 0, .ids = {80, 81}, .text = "PQ", .tokens = {}};
  for (std::int32_t id : prompt.ids) {
    OutputToken token;
    token.chosen = candidate(id, std::string(1, static_cast<char>(id)), -1.5F);
    token.top.push_back(candidate(82, "R", -0.25F));
    token.text_offset = id - 80;
    prompt.tokens.push_back(token);
  }
  const json logprobs = json::parse(R"({"tokens": ["P", "Q"], "token_logprobs": [null, -1.5],
    "top_logprobs": [null, {"R": -0.25, "Q": -1.5}], "text_offset": [0, 1]})");
  ResponseBuilder builder(with);
  builder.add(prompt);
  builder.add(delta_of("A"));
  builder.add(ChoiceFinished{.index = 0, .reason = FinishReason::kLength, .stop_string = {}, .stop_token = {}});
  const json choice = json::parse(builder.body({}))["choices"][0];
  CHECK(choice["text"] == "PQA");
  CHECK(choice["prompt_token_ids"] == json({80, 81}));
  CHECK(choice["token_ids"] == json({65}));
  CHECK(choice["logprobs"]["token_logprobs"] == json::parse("[null, -1.5, -0.5]"));
  CHECK(choice["logprobs"]["top_logprobs"][1] == logprobs["top_logprobs"][1]);
  CHECK(choice["logprobs"]["text_offset"] == json({0, 1, 3}));

  StreamFormatter stream(with);
  const json chunk = parse_frames(stream.frames(prompt)).at(0)["choices"][0];
  CHECK(chunk["text"] == "PQ");
  CHECK(chunk["logprobs"] == logprobs);
  CHECK(chunk["prompt_token_ids"] == json({80, 81}));
}

TEST_CASE("The ids of a chat's prompt stand beside its choices") {
  ResponseHead with = head(ApiKind::kChat);
  with.return_token_ids = true;
  ResponseBuilder builder(with);
  builder.add(PromptEcho{.index = 0, .ids = {1, 2}, .text = {}, .tokens = {}});
  builder.add(delta_of("A"));
  CHECK(json::parse(builder.body({}))["prompt_token_ids"] == json({1, 2}));
}

}  // namespace
}  // namespace krait::server
