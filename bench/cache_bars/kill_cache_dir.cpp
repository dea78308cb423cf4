#include <cstdio>
#include <random>
#include <stdexcept>
#include <vector>

#include "bench/cache_bars/bar.h"
#include "bench/cache_bars/bar_shapes.h"
#include "bench/cache_bars/victim.h"
#include "tests/temp_folder.h"

namespace krait::bench {
namespace {

constexpr int kKills = 100;
/// A start that takes longer does not serve.
constexpr std::chrono::seconds kStartLimit{60};

struct Tally {
  int failures = 0;
  std::int64_t answers = 0;
  /// First answers of a process that began with tokens of an earlier one: the directory does serve.
  int starts_with_hits = 0;

  void fail(const std::string& what) {
    if (++failures <= 5) std::fprintf(stderr, "kill_cache_dir: %s\n", what.c_str());
  }
};

/// Computed without any cache.
std::vector<Tokens> right_answers(const std::string& model) {
  ServedShape shape(model, [](LoadOptions& options) {
    options.threads = 1;
    options.enable_prefix_caching = false;
  });
  std::vector<Tokens> answers;
  for (int i = 0; i < kVictimPrompts; ++i) answers.push_back(shape.ask(victim_request(shape, i)).tokens);
  return answers;
}

void check(const VictimLine& line, const std::vector<Tokens>& right, Tally& tally) {
  ++tally.answers;
  if (line.index < 0 || line.index >= kVictimPrompts || line.tokens != right[static_cast<std::size_t>(line.index)]) {
    tally.fail("the answer to prompt " + std::to_string(line.index) + " after " + std::to_string(line.cached_tokens) +
               " cached tokens is wrong");
  }
}

}  // namespace

/// The value is the number of starts that did not serve, and of wrong answers.
BarResult kill_cache_dir() {
  const RandomCheckpoint checkpoint(shape_small());
  const test::TempFolder cache;
  const std::vector<Tokens> right = right_answers(checkpoint.folder());
  std::mt19937 random(97);
  Tally tally;
  for (int kill = 0; kill <= kKills && tally.failures < 5; ++kill) {
    Victim victim(checkpoint.folder(), cache.path(), kill);
    auto line = victim.next(Clock::now() + kStartLimit);
    if (!line) {
      tally.fail("start " + std::to_string(kill) + " does not serve");
      continue;
    }
    if (line->cached_tokens > 0) ++tally.starts_with_hits;
    // Some die at once, some after a while; never between two files by plan.
    const auto death = Clock::now() + std::chrono::microseconds(random() % 150000);
    while (line) {
      check(*line, right, tally);
      line = victim.next(death);
    }
    if (victim.ended()) tally.fail("process " + std::to_string(kill) + " ended by itself");
  }
  std::fprintf(stderr,
               "kill_cache_dir: %lld answers compared, %d of %d starts began with what an earlier one had left\n",
               static_cast<long long>(tally.answers), tally.starts_with_hits, kKills);
  BarResult result = at_most(tally.failures, 0);
  // A directory from which nothing is ever loaded proves nothing.
  result.pass = result.pass && tally.starts_with_hits > kKills / 4;
  return result;
}

}  // namespace krait::bench
