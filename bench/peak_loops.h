#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace krait::bench {

/// A loop of independent instructions of one kind on registers.
struct PeakLoop {
  void (*run)(std::int64_t iterations) = nullptr;
  double operations = 0;  ///< of one iteration
};

struct PeakLoops {
  std::string isa;
  PeakLoop float32;
  PeakLoop bfloat16;
  PeakLoop int8;
};

/// The best instructions that the processor has within `isa` (auto, avx512, avx2, portable).
PeakLoops choose_peak_loops(std::string_view isa);

}  // namespace krait::bench
