#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "constraint_tools.h"

using namespace krait;
using namespace krait::test;

namespace {

struct Hostile {
  std::string name;
  Constraint constraint;
};

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string joined(int count, const std::string& separator, const std::function<std::string(int)>& part) {
  std::string all;
  for (int i = 0; i < count; ++i) all += (i > 0 ? separator : "") + part(i);
  return all;
}

Hostile schema(std::string name, std::string text) {
  return {"schema: " + name, {.kind = ConstraintKind::kJsonSchema, .text = std::move(text)}};
}
Hostile regex(std::string name, std::string text) {
  return {"regex: " + name, {.kind = ConstraintKind::kRegex, .text = std::move(text)}};
}
Hostile ebnf(std::string name, std::string text) {
  return {"EBNF: " + name, {.kind = ConstraintKind::kEbnf, .text = std::move(text)}};
}

std::string nested_schema(int depth) {
  return repeated(R"({"type": "array", "items": )", depth) + "{}" + repeated("}", depth);
}

/// Each level names the next one twice: 2^depth when written out.
std::string doubling_schema(int depth) {
  return R"({"$ref": "#/$defs/d0", "$defs": {)" +
         joined(
             depth, ",",
             [&](int i) {
               const std::string next = i + 1 < depth ? R"({"$ref": "#/$defs/d)" + std::to_string(i + 1) + "\"}" : "{}";
               return "\"d" + std::to_string(i) + R"(": {"type": "array", "prefixItems": [)" + next + "," + next + "]}";
             }) +
         "}}";
}

std::string chain_schema(int length) {
  return R"({"$ref": "#/$defs/d0", "$defs": {)" +
         joined(length, ",",
                [&](int i) {
                  const std::string next =
                      i + 1 < length ? R"({"$ref": "#/$defs/d)" + std::to_string(i + 1) + "\"}" : "{}";
                  return "\"d" + std::to_string(i) + "\": " + next;
                }) +
         "}}";
}

std::vector<Hostile> hostile_constraints() {
  const auto number = [](int i) { return std::to_string(i); };
  return {
      schema("nested beyond reason", nested_schema(20'000)),
      schema("nested as deep as is allowed", nested_schema(250)),
      schema("brackets only", repeated("[", 200'000)),
      schema("too long", std::string(300 * 1024, ' ') + "{}"),
      schema("references that double at each level", doubling_schema(24)),
      schema("a chain of references", chain_schema(6'000)),
      schema("a reference to itself", R"({"$ref": "#"})"),
      schema("two references to each other",
             R"({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})"),
      schema("alternatives of itself", R"({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]})"),
      schema("a huge enum",
             R"({"enum": [)" + joined(20'000, ",", [&](int i) { return "\"v" + number(i) + "\""; }) + "]}"),
      schema("many properties",
             R"({"type": "object", "properties": {)" +
                 joined(4'000, ",", [&](int i) { return "\"p" + number(i) + R"(": {"type": "string"})"; }) + "}}"),
      schema("thousands of alternatives", R"({"anyOf": [)" +
                                              joined(3'000, ",",
                                                     [&](int i) {
                                                       return R"({"type": "object", "properties": {"p)" + number(i) +
                                                              R"(": {"type": "integer"}}})";
                                                     }) +
                                              "]}"),
      schema("alternatives that exclude each other",
             R"({"oneOf": [)" +
                 joined(800, ",",
                        [&](int i) {
                          return R"({"type": "object", "properties": {"k": {"const": )" + number(i) +
                                 R"(}}, "required": ["k"]})";
                        }) +
                 "]}"),
      schema(
          "a product of allOf",
          R"({"allOf": [)" +
              joined(500, ",",
                     [&](int i) { return R"({"anyOf": [{"minimum": )" + number(i) + R"(}, {"type": "string"}]})"; }) +
              "]}"),
      schema(
          "long strings in long arrays",
          R"({"type": "array", "maxItems": 100000, "minItems": 99999, "items": )"
          R"({"type": "array", "maxItems": 100000, "items": {"type": "string", "minLength": 100000, "maxLength": 1000000}}})"),
      schema("numbers beyond any type", R"({"type": "integer", "minimum": -1e308, "maximum": 1e308})"),
      schema("a wide range of multiples",
             R"({"type": "integer", "minimum": 0, "maximum": 9000000000000000000, "multipleOf": 7})"),
      schema("a length beyond any type", R"({"type": "string", "maxLength": 99999999999999999999})"),
      schema("a negative length", R"({"type": "string", "minLength": -5})"),
      schema("a pattern that repeats repetitions", R"({"type": "string", "pattern": "((a{1,1000}){1,1000}){1,1000}"})"),
      regex("nested repetition", "((((a{1,100000}){1,100000}){1,100000}){1,100000})"),
      regex("wide repetition", "[a-z]{1,100000}"),
      regex("a repetition beyond any type", "a{1,99999999999999999999}"),
      regex("nested stars", repeated("(", 100) + "a" + repeated("*)*", 100)),
      regex("groups nested beyond reason", repeated("(", 50'000) + "a" + repeated(")", 50'000)),
      regex("groups nested as deep as is allowed", repeated("(", 250) + "a" + repeated(")", 250)),
      regex("opened and never closed", repeated("(a|", 40'000)),
      regex("alternatives", joined(20'000, "|", [&](int i) { return "x" + number(i); })),
      regex("alternatives of a blow-up", "(" + repeated("(a|b|ab)*", 300) + "){1,300}"),
      regex("the classic whose automaton doubles", "(a|b)*a" + repeated("(a|b)", 200)),
      regex("optional parts", repeated("a?", 5'000) + repeated("a", 5'000)),
      regex("many classes", repeated("[^a-c\\d\\s]", 10'000)),
      ebnf("left recursion", "root ::= root \"a\" | root root | \"\""),
      ebnf("a rule that is itself", "root ::= root"),
      ebnf("a circle", "root ::= a\na ::= b\nb ::= a"),
      ebnf("repetition of what may be empty", "root ::= ((\"\")*)*"),
      ebnf("nested repetition", "root ::= ((\"a\"{1,5000}){1,5000}){1,5000}"),
      ebnf("a chain of rules",
           "root ::= r0\n" +
               joined(9'000, "\n", [&](int i) { return "r" + number(i) + " ::= r" + number(i + 1) + " \"a\""; }) +
               "\nr9000 ::= \"b\""),
      ebnf("rules that double",
           "root ::= r0\n" +
               joined(28, "\n",
                      [&](int i) { return "r" + number(i) + " ::= r" + number(i + 1) + " r" + number(i + 1); }) +
               "\nr28 ::= \"b\""),
      ebnf("groups nested beyond reason", "root ::= " + repeated("(", 60'000) + "\"a\"" + repeated(")", 60'000)),
      ebnf("alternatives", "root ::= " + joined(15'000, " | ", [&](int i) { return "\"x" + number(i) + "\""; })),
      {"structural tag: nested sequences",
       {.kind = ConstraintKind::kStructuralTag,
        .text = R"({"type": "structural_tag", "format": )" + repeated(R"({"type": "sequence", "elements": [)", 110) +
                R"({"type": "any_text"})" + repeated("]}", 110) + "}"}},
      {"structural tag: many triggers",
       {.kind = ConstraintKind::kStructuralTag,
        .text = R"({"type": "structural_tag", "format": {"type": "triggered_tags", "triggers": ["<"], "tags": [)" +
                joined(1'000, ",",
                       [&](int i) {
                         return R"({"type": "tag", "begin": "<t)" + number(i) +
                                R"(>", "content": {"type": "any_text"}, "end": "</t>"})";
                       }) +
                "]}}"}},
  };
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("no constraint takes the process down, or more than its limits") {
  ConstraintLimits limits;
  limits.compile_time = std::chrono::milliseconds(1'000);
  limits.compile_bytes = std::size_t{256} << 20;
  const auto compiler = demo_compiler(limits);
  REQUIRE(compiler->compile_and_wait({.kind = ConstraintKind::kJsonObject, .text = ""}).ok());
  for (const Hostile& hostile : hostile_constraints()) {
    CAPTURE(hostile.name);
    const auto start = std::chrono::steady_clock::now();
    const GrammarCompiler::Compiled compiled = compiler->compile_and_wait(hostile.constraint);
    // Processor time is limited; this machine may be busy.
    CHECK(seconds_since(start) < (KRAIT_SANITIZED != 0 ? 120.0 : 20.0));
    if (!compiled.ok()) {
      CHECK(compiled.error().code == ErrorCode::kInvalidArgument);
      CHECK(compiled.error().message.size() < 2'000);
      continue;
    }
    // What passes must work, or say why it does not.
    std::mt19937_64 random(1);
    random_walk(**compiled, random, 20);
  }
}

TEST_CASE("other constraints are compiled while hostile ones are at work") {
  ConstraintLimits limits;
  limits.compile_time = std::chrono::milliseconds(1'500);
  const auto compiler = demo_compiler(limits);
  std::promise<GrammarCompiler::Compiled> slow;
  compiler->compile({.kind = ConstraintKind::kEbnf, .text = "root ::= ((\"a\"{1,5000} \"b\"?){1,5000} [c-d]?){1,5000}"},
                    [&](GrammarCompiler::Compiled outcome) { slow.set_value(std::move(outcome)); });
  CHECK(compiler->compile_and_wait({.kind = ConstraintKind::kJsonSchema, .text = kPersonSchema}).ok());
  slow.get_future().wait();
}

TEST_CASE("a grammar with more and more derivations costs its own request only") {
  ConstraintLimits limits;
  limits.slow_time = std::chrono::milliseconds(300);
  limits.step_bytes = std::size_t{32} << 20;
  const auto compiler = demo_compiler(limits);
  const auto compiled = compiler->compile_and_wait(
      {.kind = ConstraintKind::kEbnf, .text = "root ::= root root root | \"a\" | \"aa\" | \"\""});
  if (!compiled.ok()) return;
  const auto matcher = (*compiled)->make_matcher();
  std::vector<std::uint32_t> mask((*compiled)->mask_words());
  const std::int32_t letter = demo_tokenizer().token_to_id("a").value();
  const auto start = std::chrono::steady_clock::now();
  Status status = ok_status();
  for (int i = 0; i < 3'000 && status.ok(); ++i) {
    status = matcher->accept(letter);
    if (status.ok()) status = matcher->fill_mask(mask);
  }
  CHECK(seconds_since(start) < 60.0);
  if (!status.ok()) CHECK_THAT(status.error().message, Catch::Contains("too ambiguous"));
}
