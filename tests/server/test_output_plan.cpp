#include <catch2/catch.hpp>

#include "server/service/choice_grammar.h"
#include "server/service/output_plan.h"

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

const char* const kTools = R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])";

GenerationRequest chat_request(const char* tools = nullptr, ToolSelection choice = {}) {
  GenerationRequest request;
  request.chat.emplace();
  if (tools != nullptr) request.chat->tools = Json::parse(tools);
  request.tool_choice = std::move(choice);
  return request;
}

OutputFormats formats_of(const std::string& tool_calls, const std::string& reasoning) {
  return *select_formats("", tool_calls, reasoning);
}

Json tag_of(const OutputPlan& plan) {
  REQUIRE(plan.constraint.has_value());
  REQUIRE(plan.constraint->kind == ConstraintKind::kStructuralTag);
  return Json::parse(plan.constraint->text);
}

TEST_CASE("A format of its own is compiled as what it is") {
  struct Case {
    OutputFormat format;
    ConstraintKind kind;
    std::string text;
  };
  const Case cases[] = {
      {{.kind = OutputFormatKind::kJsonObject}, ConstraintKind::kJsonObject, ""},
      {{.kind = OutputFormatKind::kJsonSchema, .value = {{"type", "string"}}},
       ConstraintKind::kJsonSchema,
       R"({"type":"string"})"},
      {{.kind = OutputFormatKind::kRegex, .value = "a\"+"}, ConstraintKind::kRegex, "a\"+"},
      {{.kind = OutputFormatKind::kGrammar, .value = "root ::= \"a\""}, ConstraintKind::kEbnf, "root ::= \"a\""},
      {{.kind = OutputFormatKind::kChoice, .value = Json::array({"a", "b"})},
       ConstraintKind::kEbnf,
       "root ::= \"a\" | \"b\""},
  };
  for (const Case& each : cases) {
    GenerationRequest request;
    request.output_format = each.format;
    request.output_format->field = "somewhere";
    const auto plan = plan_output(request, {}, "");
    REQUIRE(plan.ok());
    REQUIRE(plan->constraint.has_value());
    CHECK(plan->constraint->kind == each.kind);
    CHECK(plan->constraint->text == each.text);
    CHECK(plan->constraint_field == "somewhere");
    CHECK_FALSE(plan->needs_parser());
  }
}

TEST_CASE("A choice is a literal, whatever characters it has") {
  CHECK(choice_grammar(Json::array({"a\"b\\c\nd\x7f", "é"})) == R"(root ::= "a\"b\\c\x0ad\x7f" | "é")");
}

TEST_CASE("Of a model that reasons, the form holds after the reasoning") {
  GenerationRequest request = chat_request();
  request.output_format = {.kind = OutputFormatKind::kChoice, .value = Json::array({"a", "b"}), .field = "x"};
  const Json tag = tag_of(*plan_output(request, formats_of("none", "deepseek_r1"), "prompt"));
  CHECK_THAT(tag.dump(), Catch::Contains(R"({"type":"or","elements":[{"type":"const_string","value":"a"})"));
  CHECK(tag["type"] == "structural_tag");
  CHECK_THAT(tag.dump(), Catch::Contains("</think>"));
  // A completion has no reasoning: its prompt is the caller's.
  request.chat.reset();
  CHECK(plan_output(request, formats_of("none", "deepseek_r1"), "")->constraint->kind == ConstraintKind::kEbnf);
}

TEST_CASE("What is continued does not count as the prompt's reasoning") {
  GenerationRequest request = chat_request();
  request.chat->continue_final_message = true;
  request.chat->messages = Json::parse(R"([{"role": "assistant", "content": "so </think>"}])");
  const OutputFormats formats = formats_of("none", "deepseek_r1");
  CHECK(plan_output(request, formats, "<think>\nso </think>")->thinking ==
        formats.reasoning->prompt_thinking("<think>\n"));
}

TEST_CASE("Calls that must be made constrain the answer, others do not") {
  const OutputFormats hermes = formats_of("hermes", "none");
  CHECK_FALSE(plan_output(chat_request(kTools), hermes, "")->constraint.has_value());
  CHECK(plan_output(chat_request(kTools), hermes, "")->needs_parser());
  CHECK_FALSE(plan_output(chat_request(), hermes, "")->needs_parser());
  for (const ToolSelection& choice : {ToolSelection{.mode = ToolChoiceMode::kRequired, .name = {}},
                                      ToolSelection{.mode = ToolChoiceMode::kNamed, .name = "f"}}) {
    const auto plan = plan_output(chat_request(kTools, choice), hermes, "");
    REQUIRE(plan.ok());
    CHECK_THAT(tag_of(*plan).dump(), Catch::Contains("<tool_call>"));
    CHECK(plan->constraint_field == "tools");
  }
  const char* strict = R"([{"type": "function", "function": {"name": "f", "strict": true}}])";
  CHECK(plan_output(chat_request(strict), hermes, "")->constraint.has_value());
}

TEST_CASE("Without a format, auto is refused and a demanded call is enforced in that of Hermes") {
  const auto refused = plan_output(chat_request(kTools), {}, "");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().field == "tools");
  CHECK(refused.error().code == ErrorCode::kUnsupported);
  const auto forced = plan_output(chat_request(kTools, {.mode = ToolChoiceMode::kNamed, .name = "f"}), {}, "");
  REQUIRE(forced.ok());
  CHECK(forced->formats.tool_calls->name() == "hermes");
  CHECK_FALSE(plan_output(chat_request(kTools, {.mode = ToolChoiceMode::kNone, .name = {}}), {}, "")->needs_parser());
}

TEST_CASE("With tools and a form, the answer is calls or of the form") {
  GenerationRequest request = chat_request(kTools);
  request.output_format = {.kind = OutputFormatKind::kRegex, .value = "a+", .field = "structured_outputs.regex"};
  const auto plan = plan_output(request, formats_of("hermes", "none"), "");
  REQUIRE(plan.ok());
  CHECK(plan->constraint_field == "structured_outputs.regex");
  CHECK_THAT(tag_of(*plan).dump(), Catch::Contains(R"("type":"or")") && Catch::Contains("<tool_call>") &&
                                       Catch::Contains(R"({"type":"regex","pattern":"a+"})"));
}

}  // namespace
}  // namespace krait::server
