#include "engine/constraint/xgrammar_constraint.h"

#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/constraint/library_messages.h"
#include "engine/constraint/text_checks.h"
#include "engine/constraint/work_budget.h"

namespace krait {
namespace {

/// White space in a row between the parts of a JSON text: `{"a": 1}` and `{"a":1}` are both allowed, indentation is
/// not. Without an end a model that likes blanks writes them until max_tokens, and never comes to the end of the
/// document.
constexpr int kMostWhitespace = 1;

Error invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .field = {}};
}

Error internal(std::string message) {
  return {.code = ErrorCode::kInternal, .message = std::move(message), .field = {}};
}

std::string seconds(std::chrono::milliseconds time) {
  return std::to_string(time.count() / 1000) + "." + std::to_string(time.count() % 1000 / 100) + " s";
}

std::string mebibytes(std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

xgrammar::Grammar json_grammar(const std::string& schema, bool strict) {
  return xgrammar::Grammar::FromJSONSchema(schema, /*any_whitespace=*/true, /*indent=*/std::nullopt,
                                           /*separators=*/std::nullopt, strict, kMostWhitespace);
}

/// Throws what the library throws.
xgrammar::Grammar make_grammar(const Constraint& constraint, const xgrammar::TokenizerInfo& tokens) {
  switch (constraint.kind) {
    case ConstraintKind::kJsonSchema:
      return json_grammar(constraint.text, /*strict=*/true);
    case ConstraintKind::kJsonObject:
      return json_grammar(R"({"type": "object"})", /*strict=*/false);
    case ConstraintKind::kRegex:
      return xgrammar::Grammar::FromRegex(constraint.text);
    case ConstraintKind::kEbnf:
      return xgrammar::Grammar::FromEBNF(constraint.text);
    case ConstraintKind::kStructuralTag:
      break;
  }
  auto result = xgrammar::Grammar::FromStructuralTag(constraint.text, tokens);
  if (auto* grammar = std::get_if<xgrammar::Grammar>(&result)) return std::move(*grammar);
  return std::visit([](const auto& error) -> xgrammar::Grammar { throw std::runtime_error(error.what()); },
                    std::get<xgrammar::StructuralTagError>(result));
}

class XGrammarMatcher final : public ConstraintMatcher {
 public:
  XGrammarMatcher(const xgrammar::CompiledGrammar& grammar, const ConstraintLimits& limits)
      : matcher_(grammar), limits_(limits) {}

  Status accept(std::int32_t token) override {
    return guarded([&]() -> Status {
      if (matcher_.AcceptToken(token)) return ok_status();
      return internal("token " + std::to_string(token) + " is not what the request's constraint allows");
    });
  }

  Status fill_mask(std::span<std::uint32_t> mask) override {
    return guarded([&]() -> Status {
      std::fill(mask.begin(), mask.end(), 0U);
      auto words = static_cast<std::int64_t>(mask.size());
      DLTensor tensor{.data = mask.data(),
                      .device = {.device_type = kDLCPU, .device_id = 0},
                      .ndim = 1,
                      .dtype = xgrammar::GetBitmaskDLType(),
                      .shape = &words,
                      .strides = nullptr,
                      .byte_offset = 0};
      matcher_.FillNextTokenBitmask(&tensor);
      if (std::any_of(mask.begin(), mask.end(), [](std::uint32_t word) { return word != 0; })) return ok_status();
      return invalid("no token of the model's vocabulary can continue the answer as the request's constraint asks");
    });
  }

  bool complete() const override { return matcher_.IsCompleted() || matcher_.IsTerminated(); }

 private:
  template <typename Call>
  Status guarded(const Call& call) {
    const LibraryMessages messages;
    WorkBudget budget({.bytes = limits_.step_bytes, .time = limits_.step_time + slow_time_, .cancelled = nullptr});
    Status status = ok_status();
    try {
      status = call();
    } catch (const std::exception& error) {
      budget.end();
      status = internal(std::string("the grammar library failed: ") + error.what());
    } catch (...) {
      budget.end();
      status = internal("the grammar library failed for an unknown reason");
    }
    budget.end();
    slow_time_ -= std::max(budget.time_spent() - limits_.step_time, std::chrono::nanoseconds(0));
    if (budget.excess() == WorkBudget::Excess::kNone && slow_time_.count() >= 0) return status;
    return invalid("the request's constraint is too ambiguous: following it took more than " +
                   mebibytes(limits_.step_bytes) + " or, over all tokens, " + seconds(limits_.slow_time));
  }

  xgrammar::GrammarMatcher matcher_;
  const ConstraintLimits limits_;
  std::chrono::nanoseconds slow_time_ = limits_.slow_time;  ///< left
};

class XGrammarConstraint final : public CompiledConstraint {
 public:
  XGrammarConstraint(xgrammar::CompiledGrammar grammar, const ConstraintLimits& limits)
      : grammar_(std::move(grammar)), tokens_(grammar_.GetTokenizerInfo()), limits_(limits) {}

  std::unique_ptr<ConstraintMatcher> make_matcher() const override {
    return std::make_unique<XGrammarMatcher>(grammar_, limits_);
  }
  int vocab_size() const override { return tokens_.GetVocabSize(); }
  bool is_end_token(std::int32_t token) const override {
    const std::vector<std::int32_t>& ends = tokens_.GetStopTokenIds();
    return std::find(ends.begin(), ends.end(), token) != ends.end();
  }
  std::size_t bytes() const override { return grammar_.MemorySizeBytes(); }

 private:
  xgrammar::CompiledGrammar grammar_;
  xgrammar::TokenizerInfo tokens_;
  ConstraintLimits limits_;
};

Error over_budget(WorkBudget::Excess excess, const ConstraintLimits& limits) {
  if (excess == WorkBudget::Excess::kCancelled) {
    return {.code = ErrorCode::kCancelled, .message = "the server is shutting down", .field = {}};
  }
  const std::string spent = excess == WorkBudget::Excess::kMemory ? "needs more than " + mebibytes(limits.compile_bytes)
                                                                  : "takes longer than " + seconds(limits.compile_time);
  return invalid("the constraint is too large: compiling it " + spent + "; make it simpler");
}

}  // namespace

Result<std::shared_ptr<const xgrammar::TokenizerInfo>> make_tokenizer_info(const ConstraintVocabulary& vocabulary) {
  if (vocabulary.end_tokens.empty()) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message = "the model names no end-of-sequence token, so that a constrained answer could not end",
                 .field = {}};
  }
  // The library refuses tokens without bytes even where a structural tag names their id. A byte that UTF-8 does not
  // have keeps them out of every text and lets them be named.
  std::vector<std::string> tokens = vocabulary.token_bytes;
  for (std::string& token : tokens) {
    if (token.empty()) token = "\xFF";
  }
  try {
    return std::make_shared<const xgrammar::TokenizerInfo>(tokens, xgrammar::VocabType::RAW, vocabulary.vocab_size,
                                                           vocabulary.end_tokens);
  } catch (const std::exception& error) {
    return internal(std::string("the grammar library does not take the model's vocabulary: ") + error.what());
  }
}

GrammarCompiler::Compiled compile_constraint(const Constraint& constraint, const xgrammar::TokenizerInfo& tokens,
                                             const ConstraintLimits& limits, const std::atomic<bool>& cancelled) {
  if (Status status = check_constraint_text(constraint, limits.text_bytes, limits.nesting); !status.ok()) {
    return std::move(status).error();
  }
  const LibraryMessages messages;
  WorkBudget budget({.bytes = limits.compile_bytes, .time = limits.compile_time, .cancelled = &cancelled});
  std::shared_ptr<const CompiledConstraint> compiled;
  std::optional<Error> error;
  try {
    const xgrammar::Grammar grammar = make_grammar(constraint, tokens);
    if (messages.warnings().empty()) {
      xgrammar::GrammarCompiler compiler(tokens, /*max_threads=*/1, /*cache_enabled=*/false);
      compiled = std::make_shared<const XGrammarConstraint>(compiler.CompileGrammar(grammar), limits);
    }
  } catch (const std::exception& thrown) {
    budget.end();
    error = invalid(thrown.what());
  } catch (...) {
    budget.end();
    error = internal("the grammar library failed for an unknown reason");
  }
  budget.end();
  if (budget.excess() != WorkBudget::Excess::kNone) return over_budget(budget.excess(), limits);
  // What the library leaves out comes first: an error that follows may be its consequence.
  if (!messages.warnings().empty()) return invalid(messages.warnings().front());
  if (error) return *std::move(error);
  return compiled;
}

}  // namespace krait
