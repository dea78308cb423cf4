#pragma once

// Internal to engine/constraint: what stands between it and the grammar library.

#include <atomic>
#include <memory>

#include "engine/constraint/compiled_constraint.h"
#include "engine/constraint/constraint.h"
#include "engine/constraint/constraint_vocabulary.h"
#include "engine/constraint/grammar_compiler.h"
#include "kernels/result.h"

namespace xgrammar {
class TokenizerInfo;
}

namespace krait {

/// The library's form of a vocabulary. Fails without end tokens: an answer could not end.
Result<std::shared_ptr<const xgrammar::TokenizerInfo>> make_tokenizer_info(const ConstraintVocabulary& vocabulary);

/// Compiles on the calling thread, which should have a deep stack, within `limits`; gives up once `cancelled` is true.
GrammarCompiler::Compiled compile_constraint(const Constraint& constraint, const xgrammar::TokenizerInfo& tokens,
                                             const ConstraintLimits& limits, const std::atomic<bool>& cancelled);

}  // namespace krait
