#include <catch2/catch.hpp>

#include "constraint_tools.h"
#include "models/tokenizer/utf8.h"

using namespace krait;
using namespace krait::test;

namespace {

/// Whether `text` begins a string that [ab]{2,4}c matches, and whether it is one: written out by hand.
struct Place {
  bool prefix = false;
  bool whole = false;
};

Place place_in_pattern(const std::string& text) {
  std::size_t letters = 0;
  while (letters < text.size() && (text[letters] == 'a' || text[letters] == 'b')) ++letters;
  if (letters > 4) return {};
  if (letters == text.size()) return {.prefix = true, .whole = false};
  const bool ends = letters >= 2 && text[letters] == 'c' && letters + 1 == text.size();
  return {.prefix = ends, .whole = ends};
}

}  // namespace

TEST_CASE("a mask allows exactly the tokens that keep the text a prefix of a match") {
  const auto constraint = compile(ConstraintKind::kRegex, "[ab]{2,4}c");
  CHECK(constraint->vocab_size() == 3072);
  std::mt19937_64 random(3);
  for (int run = 0; run < 20; ++run) {
    const Walk walk = random_walk(*constraint, random, 10);
    CAPTURE(walk.text);
    CHECK(walk.error.empty());
    CHECK(walk.ended);
    std::string text;
    for (std::size_t i = 0; i <= walk.tokens.size(); ++i) {
      const std::vector<std::int32_t> before(walk.tokens.begin(), walk.tokens.begin() + static_cast<std::ptrdiff_t>(i));
      const auto mask = mask_after(*constraint, before);
      REQUIRE(mask);
      CHECK(allows(*mask, 0) == place_in_pattern(text).whole);
      for (std::int32_t token = 1; token < 3072; ++token) {
        const std::string bytes = demo_tokenizer().token_bytes(token, true);
        if (allows(*mask, token) != (!bytes.empty() && place_in_pattern(text + bytes).prefix)) {
          FAIL("token " << token << " '" << bytes << "' after '" << text << "'");
        }
      }
      if (i < walk.tokens.size()) text += demo_tokenizer().token_bytes(walk.tokens[i], true);
    }
  }
}

TEST_CASE("a token is accepted exactly when the mask allows it") {
  const auto constraint = compile(ConstraintKind::kJsonSchema, kPersonSchema);
  std::mt19937_64 random(11);
  const Walk walk = random_walk(*constraint, random, 30);
  for (std::size_t i = 0; i < walk.tokens.size(); i += 7) {
    const std::vector<std::int32_t> before(walk.tokens.begin(), walk.tokens.begin() + static_cast<std::ptrdiff_t>(i));
    const auto mask = mask_after(*constraint, before);
    REQUIRE(mask);
    for (std::int32_t token = 0; token < 3072; token += 5) {
      const auto matcher = constraint->make_matcher();
      for (const std::int32_t one : before) REQUIRE(matcher->accept(one).ok());
      if (matcher->accept(token).ok() != allows(*mask, token)) FAIL("token " << token << " at " << i);
    }
  }
}

TEST_CASE("walks over a JSON schema that end are documents of it, the others begin one") {
  const auto constraint = compile(ConstraintKind::kJsonSchema, kPersonSchema);
  std::mt19937_64 random(5);
  int ended = 0;
  for (int run = 0; run < 60; ++run) {
    const Walk walk = random_walk(*constraint, random, 400);
    CAPTURE(walk.text);
    CHECK(walk.error.empty());
    if (!walk.ended) continue;
    ++ended;
    CHECK(is_person(walk.text));
  }
  CHECK(ended >= 55);
}

TEST_CASE("documents of a schema are accepted, others are not") {
  const auto constraint = compile(ConstraintKind::kJsonSchema, kPersonSchema);
  const std::string good =
      R"({"name": "Reynard", "kind": "fox", "age": 7, "tags": ["sly"], "home": {"place": "wood", "wet": false}})";
  CHECK(accepts(*constraint, good));
  CHECK(accepts(*constraint,
                R"({"name":"é!","kind":"crow","age":120,"tags":["","a","b"],"home":{"place":"","wet":true}})"));
  // White space has an end: a model that likes blanks would never come to the end of the document.
  CHECK_FALSE(accepts(*constraint, "{  \"name\": \"a\""));
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"fox\"", "\"cat\""},
                                                        {"7", "121"},
                                                        {"7", "7.5"},
                                                        {"7", "\"7\""},
                                                        {"[\"sly\"]", "[]"},
                                                        {"\"Reynard\"", "\"\""},
                                                        {"Reynard", "Reynard the fox"},
                                                        {"[\"sly\"]", "[\"1\",\"2\",\"3\",\"4\"]"},
                                                        {"false", "null"},
                                                        {"\"age\": 7, ", ""},
                                                        {"\"wet\": false", "\"wet\": false, \"x\": 1"}}) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    CAPTURE(bad);
    CHECK_FALSE(accepts(*constraint, bad));
  }
}

TEST_CASE("strings of bounded length are JSON strings, without escapes: no raw control characters") {
  const auto bounded = compile(ConstraintKind::kJsonSchema, R"({"type": "string", "minLength": 2, "maxLength": 3})");
  for (const char* good : {R"("ab")", R"("abc")", "\"\xc3\xa9\xf0\x9f\x98\x80\""}) {
    CAPTURE(good);
    CHECK(accepts(*bounded, good));
  }
  for (const char* bad : {R"("a")", R"("abcd")", R"("a\x")", "\"a\tb\"", "\"a\nb\"", "\"a\x1f\""}) {
    CAPTURE(bad);
    CHECK_FALSE(accepts(*bounded, bad));
  }
  const auto free = compile(ConstraintKind::kJsonSchema, R"({"type": "string"})");
  CHECK(accepts(*free, R"("a\n\"\u00e9")"));
  CHECK_FALSE(accepts(*free, "\"a\tb\""));
}

TEST_CASE("no constraint allows bytes that are not UTF-8") {
  for (const auto& [kind, text] : std::vector<std::pair<ConstraintKind, std::string>>{
           {ConstraintKind::kRegex, "[^a]{1,30}"},
           {ConstraintKind::kEbnf, "root ::= [^a]{1,30}"},
           {ConstraintKind::kJsonSchema, R"({"type": "string"})"},
           {ConstraintKind::kJsonSchema, R"({"type": "string", "maxLength": 30})"},
           {ConstraintKind::kJsonSchema, R"({"type": "string", "pattern": "^[^a]{1,30}$"})"}}) {
    const auto constraint = compile(kind, text);
    std::mt19937_64 random(17);
    for (int run = 0; run < 40; ++run) {
      const Walk walk = random_walk(*constraint, random, 60);
      CAPTURE(text, walk.text);
      CHECK(walk.error.empty());
      if (walk.ended) CHECK(is_valid_utf8(walk.text));
    }
    // U+D800, a surrogate, byte by byte; and what is longer than it must be.
    for (const std::string& bytes : {std::string("\xED\xA0"), std::string("\xE0\x80"), std::string("\xF4\x90"),
                                     std::string("\xF0\x80"), std::string("\xC0")}) {
      const std::string before = kind == ConstraintKind::kJsonSchema ? "\"" : "";
      CHECK_FALSE(accepts_bytes(*constraint, before + bytes));
    }
  }
}

TEST_CASE("any JSON object: every object, nothing else") {
  const auto constraint = compile(ConstraintKind::kJsonObject, "");
  for (const char* good :
       {"{}", R"({"a": 1})", R"({"a": [1, {"b": null}], "c": {"d": [true, -1.5e3, "x\"y"]}})", "{\n\"a\": []\n}"}) {
    CAPTURE(good);
    CHECK(accepts(*constraint, good));
  }
  for (const char* bad : {"[]", "1", "\"a\"", "null", "{", R"({"a": })", R"({"a": 1,})", R"({a: 1})", "{}x", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(accepts(*constraint, bad));
  }
}

TEST_CASE("recursive schemas, references, alternatives and patterns") {
  const auto tree = compile(ConstraintKind::kJsonSchema, R"({"$ref": "#/$defs/node", "$defs": {"node": {
    "type": "object", "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["v", "next"], "additionalProperties": false}}})");
  CHECK(accepts(*tree, R"({"v": 1, "next": {"v": 2, "next": null}})"));
  CHECK_FALSE(accepts(*tree, R"({"v": 1, "next": {"v": 2, "next": 3}})"));
  const auto pattern = compile(ConstraintKind::kJsonSchema, R"({"type": "string", "pattern": "^[0-9]{3}-[a-z]+$"})");
  CHECK(accepts(*pattern, R"("123-abc")"));
  CHECK_FALSE(accepts(*pattern, R"("12-abc")"));
}

TEST_CASE("EBNF and structural tags") {
  const auto choice = compile(ConstraintKind::kEbnf, R"(root ::= "yes" | "no" | "may" "be"?)");
  for (const char* good : {"yes", "no", "may", "maybe"}) CHECK(accepts(*choice, good));
  for (const char* bad : {"y", "yesno", "be", ""}) CHECK_FALSE(accepts(*choice, bad));

  const auto tag =
      compile(ConstraintKind::kStructuralTag, R"({"type": "structural_tag", "format": {"type": "triggered_tags",
    "triggers": ["<call>"], "tags": [{"type": "tag", "begin": "<call>", "content": {"type": "json_schema",
    "json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}},
    "end": "</call>"}]}})");
  CHECK(accepts(*tag, "Any text at all."));
  CHECK(accepts(*tag, R"(First <call>{"n": 3}</call> then text <call>{"n": 4}</call>)"));
  CHECK_FALSE(accepts(*tag, "First <call>3</call>"));
  CHECK_FALSE(accepts(*tag, "First <call>"));
}

TEST_CASE("tokens without text are in no text, but can be named by a structural tag") {
  // 1 is <|start_of_role|>, a special token, and 3 <|pad|>.
  const auto string = compile(ConstraintKind::kRegex, "[^x]*");
  const auto mask = mask_after(*string, {});
  REQUIRE(mask);
  for (const std::int32_t special : {1, 2, 3, 4}) CHECK_FALSE(allows(*mask, special));
  CHECK(allows(*mask, 0));

  const auto tag = compile(ConstraintKind::kStructuralTag, R"({"type": "structural_tag", "format": {"type": "sequence",
    "elements": [{"type": "token", "token": 1}, {"type": "const_string", "value": "a"}]}})");
  const auto first = mask_after(*tag, {});
  REQUIRE(first);
  for (std::int32_t token = 0; token < 3072; ++token) {
    if (allows(*first, token) != (token == 1)) FAIL("token " << token);
  }
  CHECK(mask_after(*tag, {1}));
}

TEST_CASE("a vocabulary narrower than the logits: padding is never allowed; end tokens outside of it are left out") {
  const std::vector<std::int32_t> ends = {0, 0, 5000, -1};
  GrammarCompiler compiler([&] { return make_constraint_vocabulary(demo_tokenizer(), 3200, ends); });
  CHECK(make_constraint_vocabulary(demo_tokenizer(), 3200, ends).end_tokens == std::vector<std::int32_t>{0});
  const auto any = compiler.compile_and_wait({.kind = ConstraintKind::kRegex, .text = "(.|\\n)*"});
  REQUIRE(any.ok());
  CHECK((*any)->vocab_size() == 3200);
  const auto mask = mask_after(**any, {});
  REQUIRE(mask);
  CHECK(allows(*mask, demo_tokenizer().token_to_id("a").value()));
  for (std::int32_t token = 3072; token < 3200; ++token) CHECK_FALSE(allows(*mask, token));
}
