#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "bench/gpu_bars/bars.h"
#include "kernels/cuda/make_cuda_platform.h"

using namespace krait;
using namespace krait::bench;

namespace {

constexpr std::array kBars = {
    Bar{"state_update_batch_256", state_update_batch_256},
    Bar{"decode_batch_1", decode_batch_1},
    Bar{"decode_batch_64", decode_batch_64},
};

bool is_wanted(const Bar& bar, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (bar.name == argv[i]) return true;
  }
  return argc == 1;
}

const char* unknown_name(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    bool known = false;
    for (const Bar& bar : kBars) known = known || bar.name == argv[i];
    if (!known) return argv[i];
  }
  return nullptr;
}

/// A bar that could not be measured does not hold.
BarResult measure(const Bar& bar) {
  try {
    return bar.measure();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", std::string(bar.name).c_str(), error.what());
  }
  return {};
}

}  // namespace

/// gpu_bars [NAME...]: measures the named bars, or all, on the first GPU and prints one line of JSON each. 0: all hold;
/// 1: one does not; 2: an unknown name, or no GPU.
int main(int argc, char** argv) {
  if (const char* name = unknown_name(argc, argv)) {
    std::fprintf(stderr, "gpu_bars: there is no bar '%s'. Valid:", name);
    for (const Bar& bar : kBars) std::fprintf(stderr, " %s", std::string(bar.name).c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  if (const CudaAvailability cuda = cuda_availability(); cuda.devices == 0) {
    std::fprintf(stderr, "gpu_bars: nothing was measured: %s\n", cuda.reason.c_str());
    return 2;
  }
  bool all_hold = true;
  for (const Bar& bar : kBars) {
    if (!is_wanted(bar, argc, argv)) continue;
    const BarResult result = measure(bar);
    std::printf("{\"name\": \"%s\", \"value\": %.6g, \"bar\": %.6g, \"pass\": %s}\n", std::string(bar.name).c_str(),
                result.value, result.bar, result.pass ? "true" : "false");
    std::fflush(stdout);
    all_hold = all_hold && result.pass;
  }
  return all_hold ? 0 : 1;
}
