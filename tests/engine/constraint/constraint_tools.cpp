#include "constraint_tools.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace krait::test {

using nlohmann::json;

const char* const kPersonSchema = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 12},
    "kind": {"enum": ["fox", "crow", "lion"]},
    "age": {"type": "integer", "minimum": 0, "maximum": 120},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 6}, "minItems": 1, "maxItems": 3},
    "home": {
      "type": "object",
      "properties": {"place": {"type": "string", "maxLength": 10}, "wet": {"type": "boolean"}},
      "required": ["place", "wet"],
      "additionalProperties": false
    }
  },
  "required": ["name", "kind", "age", "tags", "home"],
  "additionalProperties": false
})";

namespace {

/// JSON Schema counts characters.
bool is_string_of(const json& value, std::size_t least, std::size_t most) {
  if (!value.is_string()) return false;
  std::size_t length = 0;
  for (const char byte : value.get<std::string>()) length += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  return length >= least && length <= most;
}

bool are_tags(const json& value) {
  if (!value.is_array() || value.empty() || value.size() > 3) return false;
  return std::all_of(value.begin(), value.end(), [](const json& tag) { return is_string_of(tag, 0, 6); });
}

bool is_home(const json& value) {
  return value.is_object() && value.size() == 2 && value.contains("place") && value.contains("wet") &&
         is_string_of(value["place"], 0, 10) && value["wet"].is_boolean();
}

}  // namespace

bool is_person(const std::string& text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object() || value.size() != 5) return false;
  for (const char* key : {"name", "kind", "age", "tags", "home"}) {
    if (!value.contains(key)) return false;
  }
  const json& kind = value["kind"];
  return is_string_of(value["name"], 1, 12) && (kind == "fox" || kind == "crow" || kind == "lion") &&
         value["age"].is_number_integer() && value["age"] >= 0 && value["age"] <= 120 && are_tags(value["tags"]) &&
         is_home(value["home"]);
}

const Tokenizer& demo_tokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer =
      load_tokenizer(std::string(KRAIT_SOURCE_DIR) + "/demo/aesop/tokenizer.json").value();
  return *tokenizer;
}

ConstraintVocabulary demo_vocabulary() {
  const std::vector<std::int32_t> ends = {0};
  return make_constraint_vocabulary(demo_tokenizer(), 3072, ends);
}

std::unique_ptr<GrammarCompiler> demo_compiler(const ConstraintLimits& limits) {
  return std::make_unique<GrammarCompiler>(demo_vocabulary, limits);
}

std::shared_ptr<const CompiledConstraint> compile(ConstraintKind kind, const std::string& text) {
  static GrammarCompiler compiler(demo_vocabulary);
  GrammarCompiler::Compiled compiled = compiler.compile_and_wait({.kind = kind, .text = text});
  if (!compiled.ok()) FAIL(text.substr(0, 300) << ": " << compiled.error().message);
  return compiled.value();
}

std::string refusal(ConstraintKind kind, const std::string& text) {
  static GrammarCompiler compiler(demo_vocabulary);
  const GrammarCompiler::Compiled compiled = compiler.compile_and_wait({.kind = kind, .text = text});
  if (compiled.ok()) FAIL("compiled: " << text.substr(0, 300));
  CHECK(compiled.error().code == ErrorCode::kInvalidArgument);
  CHECK(!compiled.error().message.empty());
  return compiled.error().message;
}

bool allows(const std::vector<std::uint32_t>& mask, std::int32_t token) {
  const auto index = static_cast<std::size_t>(token);
  return ((mask[index / 32] >> (index % 32)) & 1U) != 0;
}

std::optional<std::vector<std::uint32_t>> mask_after(const CompiledConstraint& constraint,
                                                     const std::vector<std::int32_t>& tokens) {
  const auto matcher = constraint.make_matcher();
  for (const std::int32_t token : tokens) {
    if (!matcher->accept(token).ok()) return std::nullopt;
  }
  std::vector<std::uint32_t> mask(constraint.mask_words());
  if (!matcher->fill_mask(mask).ok()) return std::nullopt;
  return mask;
}

bool accepts(const CompiledConstraint& constraint, const std::string& text) {
  const auto matcher = constraint.make_matcher();
  const std::vector<std::int32_t> tokens = demo_tokenizer().encode(text, {.add_special_tokens = false}).value();
  for (const std::int32_t token : tokens) {
    if (!matcher->accept(token).ok()) return false;
  }
  return matcher->complete();
}

bool accepts_bytes(const CompiledConstraint& constraint, const std::string& bytes) {
  const auto matcher = constraint.make_matcher();
  for (const char byte : bytes) {
    const std::string one(1, byte);
    std::int32_t token = 1;
    while (token < demo_tokenizer().vocab_size() && demo_tokenizer().token_bytes(token, true) != one) ++token;
    if (token == demo_tokenizer().vocab_size()) FAIL("no token for a byte");
    if (!matcher->accept(token).ok()) return false;
  }
  return true;
}

Walk random_walk(const CompiledConstraint& constraint, std::mt19937_64& random, int max_tokens) {
  Walk walk;
  const auto matcher = constraint.make_matcher();
  std::vector<std::uint32_t> mask(constraint.mask_words());
  for (int i = 0; i < max_tokens; ++i) {
    if (const Status filled = matcher->fill_mask(mask); !filled.ok()) {
      walk.error = filled.error().message;
      return walk;
    }
    std::vector<std::int32_t> allowed;
    for (std::int32_t token = 0; token < constraint.vocab_size(); ++token) {
      if (allows(mask, token)) allowed.push_back(token);
    }
    const std::int32_t token = allowed[random() % allowed.size()];
    if (const Status accepted = matcher->accept(token); !accepted.ok()) {
      walk.error = accepted.error().message;
      return walk;
    }
    if (constraint.is_end_token(token)) {
      walk.ended = true;
      return walk;
    }
    walk.tokens.push_back(token);
    walk.text += demo_tokenizer().token_bytes(token, /*skip_special_tokens=*/true);
  }
  return walk;
}

}  // namespace krait::test
