#include <catch2/catch.hpp>

#include "server/openai/request_parser.h"
#include "server/service/json_text.h"

namespace krait::server {
namespace {

Result<OpenAiRequest> completion(const std::string& fields) {
  const Result<Json> body = parse_json_object(R"({"prompt": "x", )" + fields + "}");
  REQUIRE(body.ok());
  return parse_openai_request(ApiKind::kCompletions, *body);
}

TEST_CASE("Every spelling of a constraint becomes a format that knows its field") {
  struct Case {
    std::string fields;
    OutputFormatKind kind;
    std::string text;
    std::string field;
  };
  using enum OutputFormatKind;
  const Case cases[] = {
      {R"("response_format": {"type": "json_object"})", kJsonObject, "null", "response_format"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {"z": 1, "a": 2}}})",
       kJsonSchema, R"({"z":1,"a":2})", "response_format.json_schema.schema"},
      {R"("response_format": {"type": "structural_tag", "format": {"type": "any_text"}})", kStructuralTag,
       R"({"type":"structural_tag","format":{"type":"any_text"}})", "response_format"},
      {R"("structured_outputs": {"json": {"type": "object"}})", kJsonSchema, R"({"type":"object"})",
       "structured_outputs.json"},
      {R"("structured_outputs": {"json": "{\"type\": \"object\"}"})", kJsonSchema, R"({"type":"object"})",
       "structured_outputs.json"},
      {R"("structured_outputs": {"regex": "a+", "choice": null})", kRegex, R"("a+")", "structured_outputs.regex"},
      {R"("structured_outputs": {"choice": ["a", "b\"c"]})", kChoice, R"(["a","b\"c"])", "structured_outputs.choice"},
      {R"("structured_outputs": {"grammar": "root ::= \"a\""})", kGrammar, R"("root ::= \"a\"")",
       "structured_outputs.grammar"},
      {R"("structured_outputs": {"json_object": true})", kJsonObject, "null", "structured_outputs.json_object"},
      {R"("structured_outputs": {"structural_tag": "{\"format\": {\"type\": \"any_text\"}}"})", kStructuralTag,
       R"({"type":"structural_tag","format":{"type":"any_text"}})", "structured_outputs.structural_tag"},
      {R"("response_format": {"type": "structural_tag", "structures": [{"begin": "<f>", "schema": {"type": "object"}, "end": "</f>"}],
          "triggers": ["<f"]})",
       kStructuralTag,
       R"({"type":"structural_tag","format":{"type":"triggered_tags","triggers":["<f"],"tags":[{"type":"tag","begin":"<f>",)"
       R"("content":{"type":"json_schema","json_schema":{"type":"object"}},"end":"</f>"}]}})",
       "response_format"},
      {R"("guided_json": {"type": "array"})", kJsonSchema, R"({"type":"array"})", "guided_json"},
      {R"("guided_regex": "b")", kRegex, R"("b")", "guided_regex"},
      {R"("guided_choice": ["c"])", kChoice, R"(["c"])", "guided_choice"},
      {R"("guided_grammar": "g")", kGrammar, R"("g")", "guided_grammar"},
  };
  for (const Case& each : cases) {
    INFO(each.fields);
    const auto request = completion(each.fields);
    REQUIRE(request.ok());
    REQUIRE(request->generation.output_format.has_value());
    CHECK(request->generation.output_format->kind == each.kind);
    CHECK(dump_json(request->generation.output_format->value) == each.text);
    CHECK(request->generation.output_format->field == each.field);
    CHECK(request->ignored_fields.empty());
  }
  CHECK_FALSE(completion(R"("response_format": {"type": "text"})")->generation.output_format.has_value());
  CHECK_FALSE(
      completion(R"("response_format": null, "structured_outputs": null)")->generation.output_format.has_value());
}

TEST_CASE("A constraint that cannot be one is refused by its place") {
  const std::pair<const char*, const char*> cases[] = {
      {R"("response_format": "json")", "response_format"},
      {R"("response_format": {})", "response_format.type"},
      {R"("response_format": {"type": "yaml"})", "response_format.type"},
      {R"("response_format": {"type": "json_schema"})", "response_format.json_schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": {}}})",
       "response_format.json_schema.name"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "n"}})",
       "response_format.json_schema.schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": "x"}})",
       "response_format.json_schema.schema"},
      {R"("structured_outputs": "x")", "structured_outputs"},
      {R"("structured_outputs": {})", "structured_outputs"},
      {R"("structured_outputs": {"json": 3})", "structured_outputs.json"},
      {R"("structured_outputs": {"json": "{"})", "structured_outputs.json"},
      {R"("structured_outputs": {"regex": 3})", "structured_outputs.regex"},
      {R"("structured_outputs": {"choice": []})", "structured_outputs.choice"},
      {R"("structured_outputs": {"choice": [1]})", "structured_outputs.choice"},
      {R"("structured_outputs": {"structural_tag": "{"})", "structured_outputs.structural_tag"},
      {R"("structured_outputs": {"structural_tag": {}})", "structured_outputs.structural_tag"},
      {R"("response_format": {"type": "structural_tag", "structures": [3]})", "response_format"},
      {R"("structured_outputs": {"xml": "x"})", "structured_outputs.xml"},
      {R"("structured_outputs": {"regex": "a", "whitespace_pattern": " "})", "structured_outputs.whitespace_pattern"},
      {R"("structured_outputs": {"regex": "a", "choice": ["b"]})", "structured_outputs.choice"},
      {R"("structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"})",
       "structured_outputs.regex"},
      {R"("guided_regex": "a", "guided_json": {})", "guided_regex"},
  };
  for (const auto& [fields, field] : cases) {
    INFO(fields);
    const auto request = completion(fields);
    REQUIRE_FALSE(request.ok());
    CHECK(request.error().field == field);
  }
}

}  // namespace
}  // namespace krait::server
