#include <algorithm>

#include "tests/server/chat/output/parsing.h"

using namespace krait::test;
using namespace krait::server;
using Json = nlohmann::ordered_json;

namespace {

std::vector<ToolDefinition> two_tools() { return {tool("f", R"({"a": {"type": "integer"}})"), {"g", "", nullptr}}; }

Json constraint(const std::string& tool_calls, const std::string& reasoning, PromptThinking prompt, ToolChoice choice,
                const std::string& name = {}, bool parallel = true) {
  const auto formats = select_formats("", tool_calls, reasoning);
  REQUIRE(formats.ok());
  const auto tools = two_tools();
  const auto text = tool_constraint(*formats, prompt, {tools, choice, name, parallel});
  INFO((text.ok() ? "" : text.error().message));
  REQUIRE(text.ok());
  const Json tag = Json::parse(*text);
  CHECK(tag["type"] == "structural_tag");
  return tag["format"];
}

/// A text that the format allows, as far as it has no free parts: `{}` stands for every schema.
std::string shortest(const Json& format) {
  const std::string type = format["type"];
  if (type == "const_string") return format["value"];
  if (type == "json_schema") return format.contains("style") ? "" : "{}";
  if (type == "regex") return "0";
  if (type == "sequence") {
    std::string text;
    for (const auto& element : format["elements"]) text += shortest(element);
    return text;
  }
  if (type == "or") return shortest(format["elements"][0]);
  if (type == "tag") {
    return format["begin"].get<std::string>() + shortest(format["content"]) + format["end"].get<std::string>();
  }
  if (type == "tags_with_separator") {
    std::string text;
    for (const auto& tag : format["tags"]) {
      text += (text.empty() ? "" : format["separator"].get<std::string>()) + shortest(tag);
      if (format["stop_after_first"]) break;
    }
    return text;
  }
  return "";
}

}  // namespace

TEST_CASE("What a constraint forces is what the parser of its format reads") {
  for (const auto* format : tool_call_formats()) {
    const std::string name(format->name());
    if (name == "gemma4") continue;
    INFO(name);
    const std::string text = shortest(constraint(name, "none", PromptThinking::kMayOpen, ToolChoice::kRequired));
    INFO(text);
    ParseSetup setup(name);
    setup.tools = two_tools();
    const ParsedMessage message = parse(setup, text);
    CHECK(message.content.empty());
    const bool single = name == "llama3_json" || name == "openai";
    REQUIRE(message.calls.size() == (single ? 1 : 2));
    CHECK(message.calls[0].name == "f");
    if (!single) CHECK(message.calls[1].name == "g");
    // One call: where calls after the first are not wanted, and of a named tool.
    const std::string one =
        shortest(constraint(name, "none", PromptThinking::kMayOpen, ToolChoice::kRequired, "", false));
    CHECK(parse(setup, one).calls.size() == 1);
    const auto named =
        parse(setup, shortest(constraint(name, "none", PromptThinking::kMayOpen, ToolChoice::kNamed, "g")));
    REQUIRE(named.calls.size() == 1);
    CHECK(named.calls[0].name == "g");
  }
}

TEST_CASE("Constraints begin after the reasoning, if there is any") {
  const auto choice = ToolChoice::kRequired;
  const Json none = constraint("hermes", "none", PromptThinking::kOpen, choice);
  CHECK(constraint("hermes", "qwen3", PromptThinking::kClosed, choice) == none);
  const Json open = constraint("hermes", "qwen3", PromptThinking::kOpen, choice);
  REQUIRE(open["type"] == "sequence");
  CHECK(open["elements"][0]["elements"][0]["begin"] == "");
  CHECK(open["elements"][0]["elements"][0]["end"] == "</think>");
  CHECK(open["elements"][1] == none);
  const Json may = constraint("hermes", "qwen3", PromptThinking::kMayOpen, choice);
  CHECK(may["elements"][0]["type"] == "optional");
  CHECK(may["elements"][0]["content"]["elements"][0]["begin"] == "<think>");
  CHECK(may["elements"][1] == none);
  OutputFormats formats;
  const Json schema = {{"type", "json_schema"}, {"json_schema", true}};
  CHECK(Json::parse(constraint_after_reasoning(formats, PromptThinking::kOpen, schema))["format"] == schema);
}

TEST_CASE("What cannot be forced is refused with its field") {
  const auto tools = two_tools();
  const auto none = select_formats("", "none", "none");
  const auto refused = tool_constraint(*none, PromptThinking::kMayOpen, {tools, ToolChoice::kRequired, "", true});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().field == "tool_choice");
  const auto hermes = select_formats("", "hermes", "none");
  CHECK_FALSE(tool_constraint(*hermes, PromptThinking::kMayOpen, {tools, ToolChoice::kNamed, "nope", true}).ok());
  const auto gemma = select_formats("", "gemma4", "none");
  CHECK_FALSE(tool_constraint(*gemma, PromptThinking::kMayOpen, {tools, ToolChoice::kRequired, "", true}).ok());
  CHECK(tool_constraint(*gemma, PromptThinking::kMayOpen, {tools, ToolChoice::kAuto, "", true}).ok());
}
