#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace krait::bench {

/// What a bar was found to be. `pass` says whether the bar holds; `value` and `bar` are in the unit that the bar's
/// line in docs/benchmarking.md names.
struct BarResult {
  double value = 0.0;
  double bar = 0.0;
  bool pass = false;
};

inline BarResult at_most(double value, double bar) { return {.value = value, .bar = bar, .pass = value <= bar}; }
inline BarResult at_least(double value, double bar) { return {.value = value, .bar = bar, .pass = value >= bar}; }
inline BarResult below(double value, double bar) { return {.value = value, .bar = bar, .pass = value < bar}; }

/// One thing that must hold. What was measured beside the value goes to standard error.
struct Bar {
  std::string_view name;
  BarResult (*measure)();
};

BarResult multi_turn_tokens();
BarResult multi_turn_time();
BarResult shared_prompt_chat();
BarResult shared_prompt_completion();
BarResult shifted_question();
BarResult long_prompt_itl();
BarResult long_prompt_rate();
BarResult schedule_256();
BarResult random_steps();
BarResult kill_cache_dir();

}  // namespace krait::bench
