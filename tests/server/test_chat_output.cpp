// Calls and reasoning through HTTP: the fake engine says what the prompt says, so a prompt is the script of an answer.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "server/http/http_server.h"
#include "tests/server/fake_engine.h"
#include "tests/server/http_client.h"

namespace krait::server {
namespace {

using nlohmann::json;

struct ChatFixture {
  void serve(const std::string& tool_calls, const std::string& reasoning) {
    ServedModel model = fake_model(engine);
    model.limits.max_model_len = 4000;
    model.formats = *select_formats("", tool_calls, reasoning);
    service.add_model(std::move(model));
  }
  json ask(const std::string& script, const json& fields, int status = 200) {
    const std::string response = once(script, fields);
    INFO(response);
    CHECK(response.starts_with("HTTP/1.1 " + std::to_string(status)));
    return json::parse(response.substr(response.find("\r\n\r\n") + 4));
  }
  /// The message that a client builds from the deltas of choice 0, with the last finish_reason as "finish".
  json stream(const std::string& script, json fields) {
    fields["stream"] = true;
    json body = {{"messages", {{{"role", "user"}, {"content", script + "$"}}}}, {"tools", tools()}};
    if (!fields.is_null()) body.update(fields);
    HttpClient client(server.port());
    client.send(post("/v1/chat/completions", body.dump()));
    const std::string response = client.read("0\r\n\r\n");
    json message = {{"tool_calls", json::array()}};
    for (std::size_t at = response.find("data: {"); at != std::string::npos; at = response.find("data: {", at + 1)) {
      const json chunk = json::parse(response.substr(at + 6, response.find("\n\n", at) - at - 6));
      if (chunk["choices"].empty()) continue;
      const json& choice = chunk["choices"][0];
      if (!choice["finish_reason"].is_null()) message["finish"] = choice["finish_reason"];
      for (const char* name : {"content", "reasoning_content"}) {
        if (!choice["delta"].contains(name) || choice["delta"][name].is_null()) continue;
        message[name] = message.value(name, "") + choice["delta"][name].get<std::string>();
      }
      if (choice["delta"].contains("tool_calls")) merge(message["tool_calls"], choice["delta"]["tool_calls"]);
    }
    return message;
  }
  static void merge(json& calls, const json& deltas) {
    for (const json& delta : deltas) {
      const auto index = delta["index"].get<std::size_t>();
      if (index >= calls.size()) {
        CHECK(delta["type"] == "function");
        CHECK(delta["function"].contains("name"));
        CHECK_FALSE(delta["id"].get<std::string>().empty());
        calls.push_back(delta);
        continue;
      }
      CHECK_FALSE(delta.contains("id"));
      CHECK_FALSE(delta["function"].contains("name"));
      json& arguments = calls[index]["function"]["arguments"];
      arguments = arguments.get<std::string>() + delta["function"]["arguments"].get<std::string>();
    }
  }
  static json tools() {
    return json::parse(R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}}},
        {"type": "function", "function": {"name": "g"}}])");
  }

  FakeEngine engine;
  Service service;
  HttpServer server{{}, service, [] { return std::string(); }};

 private:
  std::string once(const std::string& script, const json& fields) {
    json body = {{"messages", {{{"role", "user"}, {"content", script + "$"}}}}, {"tools", tools()}};
    if (!fields.is_null()) body.update(fields);
    HttpClient client(server.port());
    client.send(post("/v1/chat/completions", body.dump()));
    return client.read_response();
  }
};

struct Family {
  std::string parser;
  std::string answer;
};

TEST_CASE("Every family's calls arrive as the API's, whole and streamed") {
  const Family family = GENERATE(
      Family{"hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1, \"b\": \"x y\"}}\n</tool_call>"},
      Family{"qwen3_coder",
             "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\nx y\n</parameter>\n"
             "</function>\n</tool_call>"},
      Family{"llama3_json", R"({"name": "f", "parameters": {"a": 1, "b": "x y"}})"});
  INFO(family.parser);
  ChatFixture fixture;
  fixture.serve(family.parser, "none");
  const json choice = fixture.ask(family.answer, {})["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["content"].is_null());
  REQUIRE(choice["message"]["tool_calls"].size() == 1);
  const json& call = choice["message"]["tool_calls"][0];
  CHECK(call["type"] == "function");
  CHECK_FALSE(call.contains("index"));
  CHECK(call["function"]["name"] == "f");
  CHECK(json::parse(call["function"]["arguments"].get<std::string>()) == json::parse(R"({"a": 1, "b": "x y"})"));

  const json streamed = fixture.stream(family.answer, {});
  CHECK(streamed["finish"] == "tool_calls");
  CHECK(streamed["tool_calls"][0]["function"]["arguments"] == call["function"]["arguments"]);
}

const std::string kTwoCalls =
    "Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n"
    "<tool_call>\n{\"name\": \"g\", \"arguments\": {\"k\": [1]}}\n</tool_call>";

TEST_CASE_METHOD(ChatFixture, "Text before calls is content, and several calls have indexes and ids of their own") {
  serve("hermes", "none");
  const json message = ask(kTwoCalls, {})["choices"][0]["message"];
  CHECK(message["content"] == "Well.");
  REQUIRE(message["tool_calls"].size() == 2);
  CHECK(message["tool_calls"][0]["id"] != message["tool_calls"][1]["id"]);
  CHECK(message["tool_calls"][1]["function"]["arguments"] == R"({"k": [1]})");
  const json streamed = stream(kTwoCalls, {});
  CHECK(streamed["content"] == "Well.");
  CHECK(streamed["tool_calls"].size() == 2);
  CHECK(ask(kTwoCalls, {{"parallel_tool_calls", false}})["choices"][0]["message"]["tool_calls"].size() == 1);
}

TEST_CASE_METHOD(ChatFixture, "Without tools, or with the choice none, calls are text") {
  serve("hermes", "none");
  for (const json& fields : {json{{"tool_choice", "none"}}, json{{"tools", nullptr}}}) {
    const json choice = ask(kTwoCalls, fields)["choices"][0];
    CHECK(choice["finish_reason"] == "stop");
    CHECK(choice["message"]["content"] == kTwoCalls);
    CHECK_FALSE(choice["message"].contains("tool_calls"));
  }
}

TEST_CASE_METHOD(ChatFixture, "n choices are taken apart each for itself, and a cut answer has the reason length") {
  serve("hermes", "none");
  const json choices = ask(kTwoCalls, {{"n", 3}})["choices"];
  REQUIRE(choices.size() == 3);
  CHECK(choices[0]["message"]["tool_calls"][0]["id"] != choices[2]["message"]["tool_calls"][0]["id"]);
  const json cut = ask(kTwoCalls, {{"max_tokens", 60}})["choices"][0];
  CHECK(cut["finish_reason"] == "length");
}

TEST_CASE_METHOD(ChatFixture, "Reasoning is split from the content and counted") {
  serve("hermes", "deepseek_r1");
  const std::string script = "<think>First\nsecond.</think>\n\nThe end.";
  const json body = ask(script, {{"tools", nullptr}});
  const json message = body["choices"][0]["message"];
  CHECK(message["reasoning_content"] == "First\nsecond.");
  CHECK(message["content"] == "The end.");
  const auto counted = body["usage"]["completion_tokens_details"]["reasoning_tokens"].get<int>();
  CHECK(counted >= 29);  // a token a byte: the reasoning and its markers
  CHECK(counted <= 32);
  const json streamed = stream(script, {{"tools", nullptr}});
  CHECK(streamed["reasoning_content"] == "First\nsecond.");
  CHECK(streamed["content"] == "The end.");
  const json hidden = ask(script, {{"tools", nullptr}, {"include_reasoning", false}})["choices"][0]["message"];
  CHECK_FALSE(hidden.contains("reasoning_content"));
  CHECK(hidden["content"] == "The end.");
  const json cut = ask(script, {{"tools", nullptr}, {"max_tokens", 15}})["choices"][0]["message"];
  CHECK(cut["content"].is_null());
}

TEST_CASE_METHOD(ChatFixture, "Calls after reasoning") {
  serve("hermes", "deepseek_r1");
  const json message = ask("<think>hm</think>" + kTwoCalls, {})["choices"][0]["message"];
  CHECK(message["reasoning_content"] == "hm");
  CHECK(message["content"] == "Well.");
  CHECK(message["tool_calls"].size() == 2);
}

TEST_CASE_METHOD(ChatFixture, "Stop strings end the content, not the reasoning and not a call") {
  serve("hermes", "deepseek_r1");
  const json choice = ask("<think>a STOP b</think>The STOP end", {{"tools", nullptr}, {"stop", "STOP"}})["choices"][0];
  CHECK(choice["message"]["reasoning_content"] == "a STOP b");
  CHECK(choice["message"]["content"] == "The ");
  CHECK(choice["finish_reason"] == "stop");
  CHECK(choice["stop_reason"] == "STOP");
  const json call = ask(kTwoCalls, {{"stop", "arguments"}})["choices"][0];
  CHECK(call["message"]["tool_calls"].size() == 2);
}

TEST_CASE_METHOD(ChatFixture, "Log-probabilities are those of all tokens") {
  serve("hermes", "deepseek_r1");
  const json choice = ask("<think>a</think>b", {{"tools", nullptr}, {"logprobs", true}})["choices"][0];
  CHECK(choice["logprobs"]["content"].size() == 18);  // with the end token
}

TEST_CASE_METHOD(ChatFixture, "Where no format is known, auto is refused with a way out") {
  serve("none", "none");
  const json error = ask("x", {}, 400)["error"];
  CHECK(error["param"] == "tools");
  CHECK_THAT(error["message"].get<std::string>(), Catch::Contains("--tool-call-parser"));
  CHECK(ask("x", {{"tool_choice", "none"}})["choices"][0]["message"]["content"] == "x");
}

TEST_CASE_METHOD(ChatFixture, "A constraint without a compiler is refused by its field") {
  serve("hermes", "none");
  const json error = ask("x", {{"tools", nullptr}, {"response_format", {{"type", "json_object"}}}}, 400)["error"];
  CHECK(error["param"] == "response_format");
  CHECK(ask("x", {{"tool_choice", "required"}}, 400)["error"]["param"] == "tools");
}

}  // namespace
}  // namespace krait::server
