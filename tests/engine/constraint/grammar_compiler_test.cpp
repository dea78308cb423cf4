#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "constraint_tools.h"
#include "engine/constraint/constraint_cache.h"
#include "engine/constraint/work_budget.h"

using namespace krait;
using namespace krait::test;

namespace {

Constraint digits(int count) {
  return {.kind = ConstraintKind::kRegex, .text = "[0-9]{" + std::to_string(count) + "}"};
}

/// Takes as long as it may.
Constraint endless() {
  return {.kind = ConstraintKind::kEbnf, .text = "root ::= ((\"a\"{1,5000} \"b\"?){1,5000} [c-d]?){1,5000}"};
}

}  // namespace

TEST_CASE("a constraint is compiled once, and shared") {
  const auto compiler = demo_compiler();
  const auto first = compiler->compile_and_wait(digits(3));
  const auto second = compiler->compile_and_wait(digits(3));
  REQUIRE(first.ok());
  CHECK(first.value() == second.value());
  // The same text in another language is another constraint.
  const auto other = compiler->compile_and_wait({.kind = ConstraintKind::kEbnf, .text = "root ::= \"a\""});
  REQUIRE(other.ok());
  CHECK_FALSE(compiler->compile_and_wait({.kind = ConstraintKind::kJsonSchema, .text = "root ::= \"a\""}).ok());
}

TEST_CASE("the vocabulary is asked for once, at the first compilation") {
  std::atomic<int> asked = 0;
  GrammarCompiler compiler([&] {
    ++asked;
    return demo_vocabulary();
  });
  CHECK(asked == 0);
  std::vector<std::future<bool>> outcomes;
  for (int i = 0; i < 20; ++i) {
    auto promise = std::make_shared<std::promise<bool>>();
    outcomes.push_back(promise->get_future());
    compiler.compile(digits(1 + i % 5),
                     [promise](const GrammarCompiler::Compiled& outcome) { promise->set_value(outcome.ok()); });
  }
  for (auto& outcome : outcomes) CHECK(outcome.get());
  CHECK(asked == 1);
}

TEST_CASE("a vocabulary that cannot be had, and a model without an end, are errors") {
  GrammarCompiler broken([]() -> ConstraintVocabulary { throw std::runtime_error("no tokenizer"); });
  const auto failed = broken.compile_and_wait(digits(3));
  REQUIRE_FALSE(failed.ok());
  CHECK_THAT(failed.error().message, Catch::Contains("no tokenizer"));

  GrammarCompiler endless_model([] { return make_constraint_vocabulary(demo_tokenizer(), 3072, {}); });
  const auto refused = endless_model.compile_and_wait(digits(3));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kUnsupported);
}

TEST_CASE("a queue that is full refuses, and ending cancels: every caller is answered once") {
  ConstraintLimits limits;
  limits.threads = 1;
  limits.max_waiting = 3;
  limits.compile_time = std::chrono::minutes(10);
  limits.compile_bytes = std::size_t{8} << 30;
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  {
    const auto compiler = demo_compiler(limits);
    const auto count = [&](const GrammarCompiler::Compiled& outcome) {
      ++answered;
      if (!outcome.ok() && outcome.error().code == ErrorCode::kResourceExhausted) ++refused;
    };
    compiler->compile(endless(), count);
    for (int i = 1; i <= 8; ++i) compiler->compile(digits(i), count);
    compiler->compile(digits(1), count);
  }
  CHECK(answered == 10);
  CHECK(refused >= 4);
}

TEST_CASE("the cache keeps to its bytes; the least recently used go first; refusals are kept too") {
  const auto constraint = compile(ConstraintKind::kRegex, "[0-9]+");
  const std::size_t one = constraint->bytes() + 2 * sizeof(Constraint) + 20;
  ConstraintCache cache(3 * one);
  for (int i = 1; i <= 3; ++i) cache.put(digits(i), constraint);
  CHECK(cache.find(digits(1)));
  cache.put(digits(4), constraint);
  CHECK(cache.find(digits(1)));
  CHECK_FALSE(cache.find(digits(2)));
  CHECK(cache.find(digits(4)));
  cache.put(digits(5), Error{.code = ErrorCode::kInvalidArgument, .message = std::string(4 * one, 'x'), .field = {}});
  CHECK_FALSE(cache.find(digits(5)));
  cache.put(digits(6), Error{.code = ErrorCode::kInvalidArgument, .message = "no", .field = {}});
  REQUIRE(cache.find(digits(6)));
  CHECK_FALSE(cache.find(digits(6))->ok());
}

TEST_CASE("a work budget stops memory, time and cancelled work, and nothing after its end") {
  const auto spend = [](WorkBudget& budget, std::size_t rounds, std::size_t bytes, bool keep) {
    try {
      std::vector<std::vector<char>> kept;
      for (std::size_t i = 0; i < rounds; ++i) {
        std::vector<char> block(bytes);
        if (keep) kept.push_back(std::move(block));
      }
    } catch (const std::bad_alloc&) {
    }
    budget.end();
    return budget.excess();
  };
  using Excess = WorkBudget::Excess;
  const std::chrono::seconds minute(60);
  std::atomic<bool> cancelled = false;
  {
    WorkBudget budget({.bytes = 1 << 20, .time = minute, .cancelled = &cancelled});
    CHECK(spend(budget, 1000, 10'000, true) == Excess::kMemory);
  }
  {
    // What is freed does not count.
    WorkBudget budget({.bytes = 1 << 20, .time = minute, .cancelled = &cancelled});
    CHECK(spend(budget, 1000, 10'000, false) == Excess::kNone);
  }
  {
    WorkBudget budget({.bytes = 1 << 20, .time = std::chrono::nanoseconds(0), .cancelled = nullptr});
    CHECK(spend(budget, 1000, 10, false) == Excess::kTime);
  }
  cancelled = true;
  WorkBudget budget({.bytes = 1 << 20, .time = minute, .cancelled = &cancelled});
  CHECK(spend(budget, 1000, 10, false) == Excess::kCancelled);
  CHECK(std::string(3 << 20, 'x').size() == 3 << 20);
}
