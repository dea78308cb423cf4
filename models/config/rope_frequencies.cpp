#include "models/config/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace krait {
namespace {

double llama3_frequency(const RopeConfig& config, double frequency) {
  const double turns = config.original_positions * frequency / (2 * std::numbers::pi);  // L / l
  if (turns > config.high_freq_factor) return frequency;
  if (turns < config.low_freq_factor) return frequency / config.factor;
  const double s = (turns - config.low_freq_factor) / (config.high_freq_factor - config.low_freq_factor);
  return (1 - s) * frequency / config.factor + s * frequency;
}

/// Where the ramp of YaRN begins and ends, in pairs.
struct YarnRamp {
  double begin;
  double end;
};

/// The (fractional) pair that turns `rotations` times over the original context.
double yarn_pair(const RopeConfig& config, double rotations) {
  return config.rotary_dim * std::log(config.original_positions / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(config.theta));
}

YarnRamp yarn_ramp(const RopeConfig& config) {
  double begin = yarn_pair(config, config.beta_fast);
  double end = yarn_pair(config, config.beta_slow);
  if (config.truncate) {
    begin = std::floor(begin);
    end = std::ceil(end);
  }
  begin = std::max(begin, 0.0);
  end = std::min(end, config.rotary_dim - 1.0);
  // A ramp of no length becomes a step just behind its pair, as in the reference.
  if (begin == end) end += 0.001;
  return {begin, end};
}

double yarn_frequency(const RopeConfig& config, const YarnRamp& ramp, int pair, double frequency) {
  const double r = std::clamp((pair - ramp.begin) / (ramp.end - ramp.begin), 0.0, 1.0);
  return frequency / config.factor * r + frequency * (1 - r);
}

}  // namespace

std::vector<double> rope_frequencies(const RopeConfig& config) {
  std::vector<double> frequencies;
  const YarnRamp ramp = config.type == RopeType::kYarn ? yarn_ramp(config) : YarnRamp{};
  for (int i = 0; i < config.rotary_dim / 2; ++i) {
    const double f = std::pow(config.theta, -2.0 * i / config.rotary_dim);
    switch (config.type) {
      case RopeType::kDefault:
        frequencies.push_back(f);
        break;
      case RopeType::kProportional:
        frequencies.push_back(i < config.rotating_pairs ? f / config.factor : 0.0);
        break;
      case RopeType::kLinear:
        frequencies.push_back(f / config.factor);
        break;
      case RopeType::kLlama3:
        frequencies.push_back(llama3_frequency(config, f));
        break;
      case RopeType::kYarn:
        frequencies.push_back(yarn_frequency(config, ramp, i, f));
        break;
    }
  }
  return frequencies;
}

}  // namespace krait
