#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/constraint/grammar_compiler.h"
#include "models/tokenizer/tokenizer.h"

namespace krait::test {

/// The demo model's tokenizer; its end token is 0.
const Tokenizer& demo_tokenizer();
ConstraintVocabulary demo_vocabulary();
/// A compiler for it.
std::unique_ptr<GrammarCompiler> demo_compiler(const ConstraintLimits& limits = {});

/// Compiles, and fails the test if that fails.
std::shared_ptr<const CompiledConstraint> compile(ConstraintKind kind, const std::string& text);
/// The message of the refusal; fails the test if there is none, or if its code is not kInvalidArgument.
std::string refusal(ConstraintKind kind, const std::string& text);

bool allows(const std::vector<std::uint32_t>& mask, std::int32_t token);
/// What may come after `tokens`; nullopt when the constraint does not allow them.
std::optional<std::vector<std::uint32_t>> mask_after(const CompiledConstraint& constraint,
                                                     const std::vector<std::int32_t>& tokens);
/// Whether the text, as the tokenizer cuts it, is a whole answer.
bool accepts(const CompiledConstraint& constraint, const std::string& text);

/// Whether an answer may begin with these bytes, each as a token of its own.
bool accepts_bytes(const CompiledConstraint& constraint, const std::string& bytes);

/// A walk over allowed tokens, all equally likely.
struct Walk {
  std::vector<std::int32_t> tokens;
  std::string text;
  bool ended = false;  ///< by an end token, which is not in `tokens`
  std::string error;
};
Walk random_walk(const CompiledConstraint& constraint, std::mt19937_64& random, int max_tokens);

/// Nested, with bounded strings and arrays: what any model can only end.
extern const char* const kPersonSchema;
/// Whether the text is a whole JSON document that kPersonSchema describes: written out, not by a library.
bool is_person(const std::string& text);

}  // namespace krait::test
