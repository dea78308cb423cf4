#include <catch2/catch.hpp>

#include "constraint_tools.h"

using namespace krait;
using namespace krait::test;

namespace {

void check_refused(ConstraintKind kind, const std::string& text, const std::string& named) {
  CAPTURE(text);
  CHECK_THAT(refusal(kind, text), Catch::Contains(named));
}

}  // namespace

TEST_CASE("what would be enforced by half is refused by name") {
  const auto schema = [](const std::string& text, const std::string& named) {
    check_refused(ConstraintKind::kJsonSchema, text, named);
  };
  schema(R"({"type": "array", "items": {"type": "integer"}, "uniqueItems": true})", "uniqueItems");
  schema(R"({"type": "array", "contains": {"type": "integer"}})", "contains");
  schema(R"({"type": "object", "properties": {"a": {"type": "integer"}}, "dependentRequired": {"a": ["b"]}})",
         "dependentRequired");
  schema(R"({"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": {"type": "integer"}}})", "minimum beside $ref");
  schema(R"({"type": "object", "properties": {"a": {}}, "anyOf": [{"type": "object"}]})", "properties beside anyOf");
  schema(R"({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]})", "type beside anyOf");
  schema(R"({"enum": [1, 2, 30], "maximum": 3})", "maximum beside enum");
  schema(R"({"minLength": 3})", "minLength without type");
  schema(R"({"oneOf": [{"type": "integer"}, {"type": "integer", "minimum": 3}]})", "oneOf");
  schema(R"({"type": "array", "items": {"properties": {"a": {"not": {}}}}})", "not");
  schema(R"({"not": {"type": "integer"}})", "not");
  schema(R"({"if": {"type": "integer"}, "then": {"minimum": 1}})", "if");
  schema(R"({"type": "number", "multipleOf": 0.5})", "multipleOf");
  schema(R"({"type": "string", "pattern": "a+", "maxLength": 3})", "maxLength");
  schema(R"({"allOf": [{"type": "integer"}, {"type": "integer", "minimum": 3}]})", "allOf");
  schema(R"({"$ref": "https://example.com/schema.json"})", "example.com");
  check_refused(ConstraintKind::kRegex, "a(?=b)c", "ookahead");
}

TEST_CASE("annotations, and keywords that say the same twice, are no reason to refuse") {
  for (
      const char* text :
      {R"({"type": "string", "title": "T", "description": "d", "default": "x", "examples": ["y"], "$comment": "c"})",
       R"({"type": "string", "enum": ["a", "b"]})", R"({"type": "integer", "const": 3})",
       R"({"type": "string", "format": "a format of one's own"})", R"({"type": "string", "x-order": 3})",
       R"({"type": "object", "oneOf": [{"type": "object", "properties": {"k": {"const": "a"}}, "required": ["k"]},
                               {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"]}]})",
       R"({"$ref": "#/$defs/a", "description": "d", "$defs": {"a": {"type": "integer"}}})",
       R"({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "i", "type": ["string", "null"], "maxLength": 4})"}) {
    CAPTURE(text);
    compile(ConstraintKind::kJsonSchema, text);
  }
}

TEST_CASE("what is not in its language is refused with the place") {
  for (const char* text :
       {"", "{", "nonsense", "[1]", R"({"type": "strange"})", R"({"type": "string", "minLength": 3, "maxLength": 2})",
        R"({"type": "integer", "minimum": 3, "maximum": 2})", R"({"$ref": "#/$defs/none"})", R"({"enum": []})",
        R"({"type": "object", "properties": 3})", R"({"type": "string", "pattern": "("})"}) {
    CAPTURE(text);
    refusal(ConstraintKind::kJsonSchema, text);
  }
  for (const char* text : {"", "(", ")", "a)", "[", "[z-a]", "a{3,2}", "*", "(?P<x", "\\"}) {
    CAPTURE(text);
    refusal(ConstraintKind::kRegex, text);
  }
  for (const char* text : {"", "root", "root ::=", "root ::= other", "start ::= \"a\"", "root ::= \"a",
                           "root ::= (\"a\"", "root ::= [a", "root ::= \"a\"{3,2}", "root ::= \"a\"\nroot ::= \"b\""}) {
    CAPTURE(text);
    refusal(ConstraintKind::kEbnf, text);
  }
  for (const char* text :
       {"", "{}", "[]", R"({"type": "structural_tag"})", R"({"type": "structural_tag", "format": {"type": "strange"}})",
        R"({"type": "structural_tag", "format": {"type": "tag"}})",
        R"({"type": "structural_tag", "format": {"type": "token", "token": 99999}})",
        R"({"type": "structural_tag", "format": {"type": "regex", "pattern": "("}})"}) {
    CAPTURE(text);
    refusal(ConstraintKind::kStructuralTag, text);
  }
  CHECK_THAT(refusal(ConstraintKind::kJsonObject, "{}"), Catch::Contains("without text"));
  CHECK_THAT(refusal(ConstraintKind::kRegex, std::string("a\0b", 3)), Catch::Contains("NUL"));
  CHECK_THAT(refusal(ConstraintKind::kRegex, "a\xff"), Catch::Contains("UTF-8"));
}
