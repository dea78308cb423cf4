#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "bench/cache_bars/bar.h"
#include "bench/cache_bars/victim.h"
#include "kernels/result.h"

using namespace krait;
using namespace krait::bench;

namespace {

constexpr std::array kBars = {
    Bar{"multi_turn_tokens", multi_turn_tokens},
    Bar{"multi_turn_time", multi_turn_time},
    Bar{"shared_prompt_chat", shared_prompt_chat},
    Bar{"shared_prompt_completion", shared_prompt_completion},
    Bar{"shifted_question", shifted_question},
    Bar{"long_prompt_itl", long_prompt_itl},
    Bar{"long_prompt_rate", long_prompt_rate},
    Bar{"schedule_256", schedule_256},
    Bar{"random_steps", random_steps},
    Bar{"kill_cache_dir", kill_cache_dir},
};

const Bar* find(std::string_view name) {
  for (const Bar& bar : kBars) {
    if (bar.name == name) return &bar;
  }
  return nullptr;
}

int refuse(const char* name) {
  std::string known;
  for (const Bar& bar : kBars) known += (known.empty() ? "" : ", ") + std::string(bar.name);
  std::fprintf(stderr, "cache_bars: there is no bar '%s'. Valid: %s\n", name, known.c_str());
  return 2;
}

/// A bar that could not be measured does not hold.
BarResult measure(const Bar& bar) {
  try {
    return bar.measure();
  } catch (const StartupError& error) {
    std::fprintf(stderr, "%s: %s\n", std::string(bar.name).c_str(), error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", std::string(bar.name).c_str(), error.what());
  }
  return {};
}

}  // namespace

/// cache_bars [NAME...]: measures the named bars, or all, and prints one line of JSON each. 0: all hold; 1: one does
/// not; 2: an unknown name.
int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == kVictimCommand) return run_victim(argc, argv);
  std::vector<const Bar*> bars;
  for (int i = 1; i < argc; ++i) {
    const Bar* bar = find(argv[i]);
    if (bar == nullptr) return refuse(argv[i]);
    bars.push_back(bar);
  }
  if (bars.empty()) {
    for (const Bar& bar : kBars) bars.push_back(&bar);
  }
  bool all_hold = true;
  for (const Bar* bar : bars) {
    const BarResult result = measure(*bar);
    std::printf("{\"name\": \"%s\", \"value\": %.6g, \"bar\": %.6g, \"pass\": %s}\n", std::string(bar->name).c_str(),
                result.value, result.bar, result.pass ? "true" : "false");
    std::fflush(stdout);
    all_hold = all_hold && result.pass;
  }
  return all_hold ? 0 : 1;
}
