#include "server/service/parameter_ranges.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace krait::server {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();
constexpr double kMaxCount = 1e9;  // keeps every sum of counts far from overflow

constexpr std::array kRanges = {
    ParameterRange{"temperature", false, 0, 2},
    ParameterRange{"top_k", true, -1, kMaxCount},
    ParameterRange{"top_p", false, 0, 1, true},
    ParameterRange{"min_p", false, 0, 1},
    ParameterRange{"repetition_penalty", false, 0, 100, true},
    ParameterRange{"presence_penalty", false, -2, 2},
    ParameterRange{"frequency_penalty", false, -2, 2},
    ParameterRange{"seed", true, -kNoLimit, kNoLimit},
    ParameterRange{"max_tokens", true, 1, kMaxCount},
    ParameterRange{"max_completion_tokens", true, 1, kMaxCount},
    ParameterRange{"min_tokens", true, 0, kMaxCount},
    ParameterRange{"n", true, 1, 128},
    ParameterRange{"best_of", true, 1, 128},
    ParameterRange{"logprobs", true, 0, 20},
    ParameterRange{"top_logprobs", true, 0, 20},
    ParameterRange{"logit_bias", false, -100, 100},
    ParameterRange{"priority", true, -kMaxCount, kMaxCount},
    ParameterRange{"timeout", false, 0, 1e6, true},
};

}  // namespace

bool ParameterRange::contains(double value) const {
  if (std::isnan(value)) return false;
  const bool above = minimum_exclusive ? value > minimum : value >= minimum;
  return above && value <= maximum;
}

const ParameterRange* find_range(std::string_view name) {
  for (const ParameterRange& range : kRanges) {
    if (range.name == name) return &range;
  }
  return nullptr;
}

std::string format_number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.9g", value);
  return buffer;
}

std::string describe_range(const ParameterRange& range) {
  std::string words = range.integer ? "an integer" : "a number";
  if (range.minimum == -kNoLimit) return words;
  if (range.maximum >= kMaxCount) return words + " of at least " + format_number(range.minimum);
  if (range.minimum_exclusive) {
    return words + " greater than " + format_number(range.minimum) + " and at most " + format_number(range.maximum);
  }
  return words + " between " + format_number(range.minimum) + " and " + format_number(range.maximum);
}

Error range_error(const ParameterRange& range, std::string_view found, std::string_view field) {
  const std::string name(field.empty() ? range.name : field);
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = name + " must be " + describe_range(range) + ", found " + std::string(found),
               .field = name};
}

}  // namespace krait::server
