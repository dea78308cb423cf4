#include "tests/server/chat/output/parsing.h"

using namespace krait::test;

namespace {

ParsedMessage hermes(const std::string& text) { return parse({"hermes"}, text); }

}  // namespace

TEST_CASE("Hermes: calls in tags, their arguments as the model wrote them") {
  const auto one = hermes(
      "Let me check.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":  [1, \"}</tool_call>\"]}}\n"
      "</tool_call>");
  CHECK(one.content == "Let me check.");
  REQUIRE(one.calls.size() == 1);
  CHECK(one.calls[0] == ParsedCall{"f", "{\"a\":  [1, \"}</tool_call>\"]}", ""});

  const auto two = hermes(
      "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>{\"arguments\": {\"x\": 1}, "
      "\"name\": "
      "\"g\"}</tool_call>\n\nDone.");
  CHECK(two.content == "Done.");
  CHECK(two.calls == std::vector<ParsedCall>{{"f", "{}", ""}, {"g", "{\"x\": 1}", ""}});
  CHECK(two.calls[0].id != two.calls[1].id);
  CHECK(two.calls[0].id.starts_with("chatcmpl-tool-"));
}

TEST_CASE("JSON calls: other spellings") {
  CHECK(hermes(R"(<tool_call>{"name":"f","parameters":{"a":1}}</tool_call>)").calls[0].arguments == R"({"a":1})");
  CHECK(hermes(R"(<tool_call>{"name":"f","arguments":"{\"a\": \"\u00fc\\n\"}"}</tool_call>)").calls[0].arguments ==
        "{\"a\": \"\u00fc\\n\"}");
  CHECK(hermes(R"(<tool_call>{"name":"f"}</tool_call>)").calls[0].arguments == "{}");
  CHECK(hermes(R"(<tool_call>{"name":"f","arguments":null}</tool_call>)").calls[0].arguments == "{}");
  CHECK(hermes(R"(<tool_call>{"type":"function","function":{"name":"f","arguments":{"a":1}}}</tool_call>)")
            .calls[0]
            .arguments == R"({"a":1})");
  const auto both = hermes(R"(<tool_call>[{"name":"f","arguments":{}},{"name":"g","arguments":{}}]</tool_call> x)");
  CHECK(both.calls.size() == 2);
  CHECK(both.content == "x");
}

TEST_CASE("What is no call is content, as it was written") {
  for (const std::string text :
       {"<tool_call>", "<tool_call> hello </tool_call> there", "a <tool_ca", "<tool_call>{\"name\": 3}</tool_call>",
        "<tool_call>{\"foo\": 1}</tool_call>", "<tool_call>[]</tool_call>", "x </tool_call> y", "  \n lonely  \n",
        "<tool_call>{\"na", "<tool_callx>{\"name\": \"f\"}", "", "<tool_call></tool_call>", "1 < 2 <t <to <too"}) {
    INFO(text);
    const auto message = hermes(text);
    CHECK(message.content == text);
    CHECK(message.calls.empty());
  }
  const auto after = hermes("<tool_call>hm <tool_call>{\"name\": \"f\"}</tool_call>");
  CHECK(after.content == "<tool_call>hm");
  CHECK(after.calls.size() == 1);
  const auto twice = hermes("<tool_call><tool_call>{\"name\": \"f\"}</tool_call>");
  CHECK(twice.content == "<tool_call>");
  CHECK(twice.calls.size() == 1);
}

TEST_CASE("A call that ends early keeps the arguments so far") {
  const auto cut = hermes("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"par");
  CHECK(cut.content.empty());
  CHECK(cut.calls == std::vector<ParsedCall>{{"f", "{\"a\": \"par", ""}});
  // The object is not closed: the call stands, the next one is found.
  const auto open = hermes(
      "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}</tool_call><tool_call>{\"name\": \"g\"}</tool_call>");
  CHECK(open.calls == std::vector<ParsedCall>{{"f", "{\"a\": 1}", ""}, {"g", "{}", ""}});
  const auto wrong = hermes("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1]}}</tool_call> after");
  CHECK(wrong.calls == std::vector<ParsedCall>{{"f", "{\"a\": 1", ""}});
  CHECK(wrong.content == "after");
}

TEST_CASE("One call only, where parallel calls are off") {
  ParseSetup setup{"hermes"};
  setup.parallel = false;
  const auto message = parse(setup, R"(<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>)"
                                    R"(<tool_call>{"name":"g","arguments":{"b":2}}</tool_call>)");
  CHECK(message.calls == std::vector<ParsedCall>{{"f", R"({"a":1})", ""}});
}

TEST_CASE("Llama: a bare object is a call only with a name and arguments") {
  const auto call = parse({"llama3_json"}, R"({"name": "f", "parameters": {"a": 1}})");
  CHECK(call.calls == std::vector<ParsedCall>{{"f", R"({"a": 1})", ""}});
  CHECK(parse({"llama3_json"}, R"(<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}})")
            .calls.size() == 2);
  for (const std::string text :
       {R"({"name": "Bob", "age": 3})", R"({"result": {"name": "f", "parameters": {}}})", R"({"name": "Bob"})",
        R"(Sure: {"name": "f", "parameters": {}})", "{", "{}", R"(<|python_tag|>search.call(query="x"))"}) {
    INFO(text);
    const auto message = parse({"llama3_json"}, text);
    CHECK(message.content == text);
    CHECK(message.calls.empty());
  }
}

TEST_CASE("Mistral: lists, and names before arguments") {
  const auto list = parse({"mistral"}, R"(Hm.[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}, "id": "abcdefghi"}])");
  CHECK(list.content == "Hm.");
  REQUIRE(list.calls.size() == 1);
  CHECK(list.calls[0].arguments == R"({"a": 1})");
  const auto named = parse({"mistral"}, R"([TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[CALL_ID]abcdefghi[ARGS]{})");
  CHECK(named.calls == std::vector<ParsedCall>{{"f", R"({"a": 1})", ""}, {"g", "{}", ""}});
  CHECK(named.calls[1].id == "abcdefghi");
  CHECK(parse({"mistral"}, R"([TOOL_CALLS]f{"a": "[ARGS]"})").calls[0].arguments == R"({"a": "[ARGS]"})");
}

TEST_CASE("Granite, Jamba, MiniMax and Nemotron: lists and lines of objects") {
  const std::string f = R"({"name": "f", "arguments": {"a": 1}})";
  const std::string g = R"({"name": "g", "arguments": {}})";
  const std::vector<ParsedCall> both = {{"f", R"({"a": 1})", ""}, {"g", "{}", ""}};
  CHECK(parse({"granite"}, "<|tool_call|>[" + f + ", " + g + "]").calls == both);
  CHECK(parse({"granite"}, "<tool_call>" + f + "</tool_call><tool_call>" + g + "</tool_call>").calls == both);
  CHECK(parse({"jamba"}, "ok<tool_calls>[\n    " + f + ",\n    " + g + "\n]</tool_calls>").calls == both);
  CHECK(parse({"minimax"}, "<tool_calls>\n" + f + "\n" + g + "\n</tool_calls>").calls == both);
  CHECK(parse({"nemotron_json"}, "<TOOLCALL>[" + f + ", " + g + "]</TOOLCALL>").calls == both);
}
