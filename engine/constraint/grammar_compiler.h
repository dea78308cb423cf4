#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "engine/constraint/compiled_constraint.h"
#include "engine/constraint/constraint.h"
#include "engine/constraint/constraint_vocabulary.h"
#include "kernels/result.h"

namespace krait {

/// What a constraint may cost before it is refused. See engine/constraint/README.md for what each of them stops.
struct ConstraintLimits {
  std::size_t text_bytes = 256 * 1024;
  int nesting = 256;                                 ///< brackets in brackets
  std::size_t compile_bytes = std::size_t{1} << 30;  ///< memory that one compilation may hold
  std::chrono::milliseconds compile_time{20'000};    ///< of the processor, for one compilation
  std::size_t step_bytes = std::size_t{256} << 20;   ///< memory that one matcher may gain in one call
  /// Of the processor, for each call of a matcher; and what all its calls together may take above that. One request
  /// that is slow at every token would slow down all that run beside it.
  std::chrono::milliseconds step_time{10};
  std::chrono::milliseconds slow_time{2'000};
  std::size_t cache_bytes = std::size_t{256} << 20;  ///< compiled constraints that are kept
  int threads = 2;                                   ///< compilations that run at once
  std::size_t max_waiting = 64;                      ///< compilations that wait for a thread
};

/// Makes constraints ready for one model's vocabulary, on threads of its own. One a model; thread-safe.
///
/// A constraint that somebody else's request is compiling is compiled once; results are kept, the least recently used
/// go first. Whatever the text is, it costs at most what the limits say and ends as an error.
class GrammarCompiler {
 public:
  using Compiled = Result<std::shared_ptr<const CompiledConstraint>>;
  using Done = std::function<void(Compiled)>;

  /// `vocabulary` is called once, before the first compilation, on a compiler's thread: a server without constrained
  /// requests never pays for it. What it refers to must live as long as the compiler.
  explicit GrammarCompiler(std::function<ConstraintVocabulary()> vocabulary, ConstraintLimits limits = {});
  /// Stops what is being compiled; every `done` has been called when it returns.
  ~GrammarCompiler();
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  /// Calls `done` exactly once: before this returns, on the caller's thread, when the answer is known at once (a cached
  /// result, an obvious error), or else later on a compiler's thread; it must not block and not throw. Errors, none of
  /// which names a field: kInvalidArgument for a constraint that is wrong or over the limits, kResourceExhausted when
  /// too many compilations wait, kUnsupported for a model without end tokens, kCancelled when the compiler ends.
  void compile(Constraint constraint, Done done);

  /// Waits for the result.
  [[nodiscard]] Compiled compile_and_wait(Constraint constraint);

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace krait
