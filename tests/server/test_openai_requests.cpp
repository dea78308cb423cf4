#include <catch2/catch.hpp>

#include "server/openai/request_parser.h"
#include "server/service/json_text.h"

namespace krait::server {
namespace {

Result<OpenAiRequest> parse(ApiKind kind, const std::string& text) {
  const Result<Json> body = parse_json_object(text);
  if (!body.ok()) return body.error();
  return parse_openai_request(kind, *body);
}

Result<OpenAiRequest> completion(const std::string& fields) {
  return parse(ApiKind::kCompletions, R"({"prompt": "x")" + (fields.empty() ? "" : ", " + fields) + "}");
}

Result<OpenAiRequest> chat(const std::string& fields) {
  return parse(ApiKind::kChat,
               R"({"messages": [{"role": "user", "content": "x"}])" + (fields.empty() ? "" : ", " + fields) + "}");
}

TEST_CASE("A prompt is a string, ids, or a list of either") {
  const auto prompts = [](const std::string& prompt) {
    return parse(ApiKind::kCompletions, R"({"prompt": )" + prompt + "}")->generation.prompts;
  };
  using Ids = std::vector<std::int32_t>;
  CHECK(prompts(R"("hi")") == std::vector<Prompt>{"hi"});
  CHECK(prompts("[1, 2]") == std::vector<Prompt>{Ids{1, 2}});
  CHECK(prompts(R"(["a", "b"])") == std::vector<Prompt>{"a", "b"});
  CHECK(prompts(R"([[1], [2, 3]])") == std::vector<Prompt>{Ids{1}, Ids{2, 3}});
  CHECK(prompts(R"(["a", [2, 3]])") == std::vector<Prompt>{"a", Ids{2, 3}});
}

TEST_CASE("Every sampling field arrives") {
  const auto request = completion(R"("model": "m", "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1,
      "repetition_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3, "seed": 18446744073709551615,
      "max_tokens": 7, "min_tokens": 2, "ignore_eos": true, "stop": ["a", "b"], "stop_token_ids": [4], "n": 2, "best_of": 2,
      "logit_bias": {"5": -1.5}, "logprobs": 2, "stream": true, "stream_options": {"include_usage": true},
      "include_stop_str_in_output": true, "skip_special_tokens": false, "return_token_ids": true, "add_special_tokens": false,
      "user": "u", "top_logprobs": null)");
  REQUIRE(request.ok());
  const GenerationRequest& generation = request->generation;
  const SamplingOptions& sampling = generation.sampling;
  CHECK(generation.model == "m");
  CHECK(sampling.temperature == 0.5);
  CHECK(sampling.top_k == 3);
  CHECK(sampling.top_p == 0.9);
  CHECK(sampling.min_p == 0.1);
  CHECK(sampling.repetition_penalty == 1.1);
  CHECK(sampling.presence_penalty == 0.2);
  CHECK(sampling.frequency_penalty == 0.3);
  CHECK(sampling.seed == 18446744073709551615U);
  CHECK(sampling.max_tokens == 7);
  CHECK(sampling.min_tokens == 2);
  CHECK(sampling.ignore_eos);
  CHECK(generation.stop == std::vector<std::string>{"a", "b"});
  CHECK(sampling.stop_token_ids == std::vector<std::int64_t>{4});
  CHECK(generation.n == 2);
  CHECK(generation.best_of == 2);
  CHECK(sampling.logit_bias == std::map<std::int64_t, double>{{5, -1.5}});
  CHECK(sampling.logprobs == 2);
  CHECK(generation.stream);
  CHECK(request->include_usage);
  CHECK(generation.include_stop_str_in_output);
  CHECK_FALSE(generation.skip_special_tokens);
  CHECK_FALSE(generation.add_special_tokens);
  CHECK(generation.return_token_ids);
  CHECK(request->ignored_fields == std::vector<std::string>{"top_logprobs"});
}

TEST_CASE("null is the same as absent") {
  const auto request =
      completion(R"("temperature": null, "stop": null, "stream": null, "logprobs": null, "seed": null)");
  REQUIRE(request.ok());
  CHECK_FALSE(request->generation.sampling.temperature.has_value());
  CHECK_FALSE(request->logprobs);
}

TEST_CASE("A wrong type names the field, what was found and what is valid") {
  const std::pair<const char*, const char*> cases[] = {
      {R"("temperature": "hot")", "temperature must be a number between 0 and 2, found \"hot\""},
      {R"("top_p": [])", "top_p must be a number greater than 0 and at most 1, found an empty list"},
      {R"("top_k": 1.5)", "top_k must be an integer of at least -1, found 1.5"},
      {R"("min_p": {})", "min_p must be a number between 0 and 1, found an object"},
      {R"("repetition_penalty": true)",
       "repetition_penalty must be a number greater than 0 and at most 100, found true"},
      {R"("presence_penalty": "x")", "presence_penalty must be a number between -2 and 2, found \"x\""},
      {R"("frequency_penalty": "x")", "frequency_penalty must be a number between -2 and 2, found \"x\""},
      {R"("seed": "x")", "seed must be an integer, found \"x\""},
      {R"("max_tokens": "many")", "max_tokens must be an integer of at least 1, found \"many\""},
      {R"("min_tokens": 1.5)", "min_tokens must be an integer of at least 0, found 1.5"},
      {R"("n": "2")", "n must be an integer between 1 and 128, found \"2\""},
      {R"("stream": 1)", "stream must be true or false, found 1"},
      {R"("ignore_eos": "no")", "ignore_eos must be true or false, found \"no\""},
      {R"("stop": 3)", "stop must be a string or a list of strings, found 3"},
      {R"("stop": ["a", 3])", "stop must be a string or a list of strings, found 3"},
      {R"("stop_token_ids": [1, "a"])", "stop_token_ids must be a list of integers, found \"a\""},
      {R"("logit_bias": [])", "logit_bias must be an object, found an empty list"},
      {R"("logit_bias": {"x": 1})", "logit_bias must be an object whose keys are token ids, found \"x\""},
      {R"("logit_bias": {"1": "x"})",
       "logit_bias must be an object whose values are numbers between -100 and 100, found \"x\""},
      {R"("stream_options": 1)", "stream_options must be an object, found 1"},
      {R"("stream_options": {"include_usage": 1})", "stream_options.include_usage must be true or false, found 1"},
      {R"("model": 3)", "model must be a string, found 3"},
      {R"("logprobs": true)", "logprobs must be an integer between 0 and 20, found true"},
      {R"("echo": "x")", "echo must be true or false, found \"x\""},
  };
  for (const auto& [fields, message] : cases) {
    INFO(fields);
    const auto request = completion(fields);
    REQUIRE_FALSE(request.ok());
    CHECK(request.error().message == message);
    CHECK(request.error().code == ErrorCode::kInvalidArgument);
    CHECK(request.error().message.starts_with(request.error().field));
  }
}

TEST_CASE("A wrong prompt is refused") {
  for (const char* body :
       {"{}", R"({"prompt": null})", R"({"prompt": 3})", R"({"prompt": []})", R"({"prompt": [1, "a"]})",
        R"({"prompt": ["a", 1]})", R"({"prompt": [[]]})", R"({"prompt": [1.5]})", R"({"prompt": [99999999999]})"}) {
    INFO(body);
    const auto request = parse(ApiKind::kCompletions, body);
    REQUIRE_FALSE(request.ok());
    CHECK(request.error().field == "prompt");
  }
}

TEST_CASE("A field that is not served is refused, a harmless value of it is not") {
  for (const char* name : {"suffix", "functions", "allowed_token_ids", "bad_words"}) {
    const auto request = completion("\"" + std::string(name) + R"(": "x")");
    REQUIRE_FALSE(request.ok());
    CHECK(request.error().code == ErrorCode::kUnsupported);
    CHECK(request.error().field == name);
  }
  CHECK(completion(R"("response_format": {"type": "text"}, "suffix": "", "use_beam_search": false, "bad_words": [])")
            .ok());
  CHECK(chat(R"("chat_template": "{{ messages }}")").error().field == "chat_template");
}

TEST_CASE("Unknown fields are accepted and named") {
  const auto request = completion(R"("zebra": 1, "apple": 2, "stream_options": {"odd": 1})");
  REQUIRE(request.ok());
  CHECK(request->ignored_fields == std::vector<std::string>{"stream_options.odd", "zebra", "apple"});
}

TEST_CASE("Chat: parts stay parts, limits and logprobs have their chat names") {
  const auto request = parse(ApiKind::kChat, R"({"messages": [{"role": "system", "content": "s"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "n"},
      {"role": "assistant", "content": null}], "max_tokens": 3, "max_completion_tokens": 5, "logprobs": true, "top_logprobs": 4,
      "chat_template_kwargs": {"k": 1}, "add_generation_prompt": false})");
  REQUIRE(request.ok());
  const ChatInput& chat_input = *request->generation.chat;
  CHECK(
      chat_input.messages[1] ==
      Json::parse(
          R"({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "n"})"));
  CHECK(chat_input.messages[2]["content"] == "");
  CHECK(chat_input.kwargs["k"] == 1);
  CHECK_FALSE(chat_input.add_generation_prompt);
  CHECK(request->generation.sampling.max_tokens == 5);
  CHECK(request->generation.sampling.logprobs == 4);
  CHECK(request->logprobs);
  CHECK_FALSE(chat(R"("logprobs": false)")->generation.sampling.logprobs.has_value());
  CHECK(chat(R"("logprobs": true)")->generation.sampling.logprobs == 0);
  CHECK(chat(R"("top_logprobs": 2)").error().field == "top_logprobs");
}

TEST_CASE("A wrong message is named by its place") {
  const std::pair<const char*, const char*> cases[] = {
      {"null", "messages"},
      {"[]", "messages"},
      {R"("x")", "messages"},
      {"[1]", "messages[0]"},
      {R"([{"content": "x"}])", "messages[0].role"},
      {R"([{"role": "king", "content": "x"}])", "messages[0].role"},
      {R"([{"role": "function", "content": "x"}])", "messages[0].role"},
      {R"([{"role": "tool"}])", "messages[0].content"},
      {R"([{"role": "user", "content": "x", "name": 3}])", "messages[0].name"},
      {R"([{"role": "assistant", "content": "x", "reasoning_content": []}])", "messages[0].reasoning_content"},
      {R"([{"role": "user"}])", "messages[0].content"},
      {R"([{"role": "user", "content": 3}])", "messages[0].content"},
      {R"([{"role": "user", "content": [{"type": "image_url"}]}])", "messages[0].content[0].type"},
      {R"([{"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "text"}]}])",
       "messages[1].content[0].text"},
      {R"([{"role": "user", "content": "", "tool_calls": [{}]}])", "messages[0].tool_calls"},
      {R"([{"role": "assistant", "tool_calls": {}}])", "messages[0].tool_calls"},
      {R"([{"role": "assistant", "tool_calls": [3]}])", "messages[0].tool_calls[0]"},
      {R"([{"role": "assistant", "tool_calls": [{}]}])", "messages[0].tool_calls[0].function"},
      {R"([{"role": "assistant", "tool_calls": [{"type": "x"}]}])", "messages[0].tool_calls[0].type"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])", "messages[0].tool_calls[0].function.name"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}])",
       "messages[0].tool_calls[0].function.arguments"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}])",
       "messages[0].tool_calls[0].function.arguments"},
  };
  for (const auto& [messages, field] : cases) {
    INFO(messages);
    const auto request = parse(ApiKind::kChat, R"({"messages": )" + std::string(messages) + "}");
    REQUIRE_FALSE(request.ok());
    CHECK(request.error().field == field);
  }
}

TEST_CASE("A body that is not an object of UTF-8 JSON says where it goes wrong") {
  CHECK_THAT(parse_json_object("{\"a\": \xFF}").error().message, Catch::Contains("not valid UTF-8 at byte 6"));
  CHECK_THAT(parse_json_object("{\"a\": }").error().message,
             Catch::Contains("not valid JSON") && Catch::Contains("column 7"));
  CHECK_THAT(parse_json_object("").error().message, Catch::Contains("not valid JSON"));
  CHECK_THAT(parse_json_object("[1]").error().message, Catch::Contains("must be a JSON object, found a list"));
  CHECK_THAT(parse_json_object(R"({"a": "\ud83d"})").error().message, Catch::Contains("not valid JSON"));
  CHECK_THAT(parse_json_object("{\"a\": " + std::string(100000, '[')).error().message, Catch::Contains("64 deep"));
  CHECK(parse_json_object(R"({"a": "[[[[ \" [[["})").ok());
}

TEST_CASE("A long value is cut at a character in messages") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "é";
  const std::string shown = describe_value(text);
  CHECK(shown.size() < 70);
  CHECK_NOTHROW(Json(shown).dump());
}

}  // namespace
}  // namespace krait::server
