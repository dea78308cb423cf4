#include "tests/server/chat/output/parsing.h"

using namespace krait::test;

namespace {

ParseSetup with_tools(const std::string& format) {
  ParseSetup setup{format};
  setup.tools = {tool("f", R"({"s": {"type": "string"}, "i": {"type": "integer"}, "o": {"type": "object"},
                              "n": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "e": {"enum": ["1", "2"]},
                              "r": {"$ref": "#/properties/s"}})")};
  return setup;
}

}  // namespace

TEST_CASE("Qwen3-Coder: parameters take the types of the tool's schema") {
  const auto message =
      parse(with_tools("qwen3_coder"),
            "Right.\n\n<tool_call>\n<function=f>\n<parameter=s>\n12\n \"q\" <b>\n\n</parameter>\n"
            "<parameter=i>\n42\n</parameter>\n<parameter=o>\n{\"a\": [1]}\n</parameter>\n<parameter=n>\n"
            "None\n</parameter>\n<parameter=e>\n1\n</parameter>\n<parameter=r>\n7\n</parameter>\n"
            "<parameter=unknown>\nTrue\n</parameter>\n</function>\n</tool_call>");
  CHECK(message.content == "Right.");
  REQUIRE(message.calls.size() == 1);
  CHECK(message.calls[0].arguments ==
        R"({"s": "12\n \"q\" <b>\n", "i": 42, "o": {"a": [1]}, "n": null, "e": "1", "r": "7", "unknown": true})");
  CHECK(nlohmann::json::accept(message.calls[0].arguments));
}

TEST_CASE("Qwen3-Coder: values that do not fit stay strings, missing tags are borne") {
  const auto setup = with_tools("qwen3_coder");
  CHECK(parse(setup, "<tool_call>\n<function=f>\n<parameter=i>\nmany\n</parameter>\n</function>\n</tool_call>")
            .calls[0]
            .arguments == R"({"i": "many"})");
  const auto bare = parse(setup, "<function=f>\n<parameter=s>\n\n</parameter>\n</function>\n</tool_call>\nend");
  CHECK(bare.calls == std::vector<ParsedCall>{{"f", R"({"s": ""})", ""}});
  CHECK(bare.content == "end");
  CHECK(parse(setup, "<tool_call>\n<function=f>\n</tool_call>").calls[0].arguments == "{}");
  CHECK(parse(setup, "<tool_call>\n<function=f>\n<parameter=s>\nhalf a va").calls[0].arguments ==
        R"({"s": "half a va)");
  CHECK(parse(setup, "<tool_call>\n<function=f>\n<parameter=i>\n4").calls[0].arguments == R"({"i": )");
  CHECK(parse(setup, "<tool_call>\n<functio").content == "<tool_call>\n<functio");
  CHECK(parse(setup, "<tool_call> hello").content == "<tool_call> hello");
  const auto two = parse(setup,
                         "<tool_call>\n<function=f>\n</function>\n</tool_call>\n<tool_call>\n<function=g>\n"
                         "</function>\n</tool_call>");
  CHECK(two.calls.size() == 2);
  CHECK(two.content.empty());
}

TEST_CASE("MiniMax-M2 and GLM: elements of other names") {
  const auto minimax = parse(with_tools("minimax_m2"),
                             "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"s\">1</parameter>\n"
                             "<parameter name=\"i\">1</parameter>\n</invoke>\n<invoke name=\"g\">\n</invoke>\n"
                             "</minimax:tool_call>");
  CHECK(minimax.calls == std::vector<ParsedCall>{{"f", R"({"s": "1", "i": 1})", ""}, {"g", "{}", ""}});
  // An enumerated string has no white space around it, whatever lines it stands on.
  CHECK(parse(with_tools("minimax_m2"),
              "<minimax:tool_call><invoke name=\"f\"><parameter name=\"e\"> \n2 \n\n</parameter></invoke>"
              "</minimax:tool_call>")
            .calls[0]
            .arguments == R"({"e": "2"})");
  const auto glm = parse(with_tools("glm47"),
                         "<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>1</arg_value>\n<arg_key>i"
                         "</arg_key><arg_value>2</arg_value></tool_call><tool_call>g</tool_call>");
  CHECK(glm.calls == std::vector<ParsedCall>{{"f", R"({"s": "1", "i": 2})", ""}, {"g", "{}", ""}});
}
