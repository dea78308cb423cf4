#include <catch2/catch.hpp>

#include "server/openai/request_parser.h"
#include "server/service/json_text.h"

namespace krait::server {
namespace {

Result<OpenAiRequest> chat(const std::string& fields) {
  const Result<Json> body = parse_json_object(R"({"messages": [{"role": "user", "content": "x"}], )" + fields + "}");
  REQUIRE(body.ok());
  return parse_openai_request(ApiKind::kChat, *body);
}

const std::string kTools = R"("tools": [{"type": "function", "function": {"name": "get_weather", "description": "d",
    "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}}, {"type": "function", "function": {"name": "f-2"}}])";

TEST_CASE("Tools arrive as they are, their keys in the client's order") {
  const auto request = chat(kTools);
  REQUIRE(request.ok());
  const GenerationRequest& generation = request->generation;
  CHECK(generation.chat->tools.size() == 2);
  CHECK(dump_json(generation.chat->tools[0]["function"]["parameters"]["properties"]) == R"({"z":{},"a":{}})");
  CHECK(generation.tool_choice.mode == ToolChoiceMode::kAuto);
  CHECK(generation.parallel_tool_calls);
  CHECK(chat(R"("tools": [])")->generation.chat->tools.is_null());
  CHECK(chat(R"("tools": null, "tool_choice": null)")->generation.chat->tools.is_null());
  CHECK_FALSE(chat(kTools + R"(, "parallel_tool_calls": false)")->generation.parallel_tool_calls);
}

TEST_CASE("A tool choice is none, auto, required or a tool's name") {
  CHECK(chat(kTools + R"(, "tool_choice": "auto")")->generation.tool_choice.mode == ToolChoiceMode::kAuto);
  CHECK(chat(kTools + R"(, "tool_choice": "required")")->generation.tool_choice.mode == ToolChoiceMode::kRequired);
  const auto named = chat(kTools + R"(, "tool_choice": {"type": "function", "function": {"name": "f-2"}})");
  CHECK(named->generation.tool_choice.mode == ToolChoiceMode::kNamed);
  CHECK(named->generation.tool_choice.name == "f-2");
  const auto none = chat(kTools + R"(, "tool_choice": "none")");
  CHECK(none->generation.tool_choice.mode == ToolChoiceMode::kNone);
  CHECK(none->generation.chat->tools.is_null());
}

TEST_CASE("A wrong tool or choice is named by its place") {
  const std::string long_name(65, 'x');
  const std::pair<std::string, std::string> cases[] = {
      {R"("tools": {})", "tools"},
      {R"("tools": [3])", "tools[0]"},
      {R"("tools": [{"function": {"name": "f"}}])", "tools[0].type"},
      {R"("tools": [{"type": "web_search"}])", "tools[0].type"},
      {R"("tools": [{"type": "function"}])", "tools[0].function"},
      {R"("tools": [{"type": "function", "function": {}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": ""}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": "a b"}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": "é"}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": ")" + long_name + R"("}}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": "f", "parameters": []}}])",
       "tools[0].function.parameters"},
      {R"("tools": [{"type": "function", "function": {"name": "f", "description": 1}}])",
       "tools[0].function.description"},
      {R"("tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}])",
       "tools[1].function.name"},
      {R"("tool_choice": "required")", "tool_choice"},
      {R"("tool_choice": {"type": "function", "function": {"name": "f"}})", "tool_choice"},
      {kTools + R"(, "tool_choice": "any")", "tool_choice"},
      {kTools + R"(, "tool_choice": 3)", "tool_choice"},
      {kTools + R"(, "tool_choice": {"type": "function"})", "tool_choice"},
      {kTools + R"(, "tool_choice": {"type": "allowed_tools"})", "tool_choice"},
      {kTools + R"(, "tool_choice": {"type": "function", "function": {"name": "unknown"}})", "tool_choice"},
      {kTools + R"(, "parallel_tool_calls": 1)", "parallel_tool_calls"},
  };
  for (const auto& [fields, field] : cases) {
    INFO(fields);
    const auto request = chat(fields);
    REQUIRE_FALSE(request.ok());
    CHECK(request.error().field == field);
  }
}

TEST_CASE("The arguments of earlier calls become objects, as templates want them") {
  const Result<Json> body = parse_json_object(R"({"messages": [{"role": "user", "content": "x"},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": [2]}"}},
        {"id": "call_2", "function": {"name": "g", "arguments": ""}}, {"function": {"name": "h", "arguments": {"k": 3}}}]},
      {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "done"}]},
      {"role": "assistant", "reasoning_content": "because", "content": "ok", "tool_calls": []}]})");
  const auto request = parse_openai_request(ApiKind::kChat, *body);
  REQUIRE(request.ok());
  const Json& messages = request->generation.chat->messages;
  const Json& calls = messages[1]["tool_calls"];
  CHECK(messages[1]["content"] == "");
  CHECK(dump_json(calls[0]["function"]["arguments"]) == R"({"b":1,"a":[2]})");
  CHECK(calls[0]["id"] == "call_1");
  CHECK(dump_json(calls[1]["function"]["arguments"]) == "{}");
  CHECK(calls[1]["type"] == "function");
  CHECK(dump_json(calls[2]["function"]["arguments"]) == R"({"k":3})");
  CHECK(messages[2]["content"][0]["text"] == "done");
  CHECK(messages[2]["tool_call_id"] == "call_1");
  CHECK(messages[3]["reasoning_content"] == "because");
  CHECK_FALSE(messages[3].contains("tool_calls"));
}

TEST_CASE("What shapes a chat's prompt arrives") {
  const auto request = chat(R"("documents": [{"text": "d"}], "continue_final_message": true, "reasoning_effort": "low",
      "chat_template_kwargs": {"enable_thinking": false}, "include_reasoning": false)");
  REQUIRE(request.ok());
  const ChatInput& input = *request->generation.chat;
  CHECK(input.continue_final_message);
  CHECK_FALSE(input.add_generation_prompt);
  CHECK(dump_json(input.documents) == R"([{"text":"d"}])");
  CHECK(dump_json(input.kwargs) == R"({"reasoning_effort":"low","enable_thinking":false})");
  CHECK_FALSE(request->generation.include_reasoning);
  CHECK(chat(R"("continue_final_message": true, "add_generation_prompt": true)").error().field ==
        "continue_final_message");
  CHECK(chat(R"("documents": ["x"])").error().field == "documents");
  CHECK(chat(R"("reasoning_effort": 3)").error().field == "reasoning_effort");
}

}  // namespace
}  // namespace krait::server
