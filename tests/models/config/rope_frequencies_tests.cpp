#include <catch2/catch.hpp>
#include <cmath>

#include "models/config/rope_frequencies.h"

using krait::rope_frequencies;
using krait::RopeConfig;
using krait::RopeType;

namespace {

constexpr double kPi = 3.14159265358979323846;

/// The formulas of the papers, one value at a time, from the settings as a config states them.
double plain(double theta, int i, int d) { return 1.0 / std::pow(theta, 2.0 * i / d); }

double llama3(double f, double factor, double low, double high, double context) {
  const double wavelength = 2 * kPi / f;
  if (wavelength < context / high) return f;
  if (wavelength > context / low) return f / factor;
  const double s = (context / wavelength - low) / (high - low);
  return (1 - s) * (f / factor) + s * f;
}

double yarn_bound(double beta, double theta, int d, double context) {
  return d * std::log(context / (2 * kPi * beta)) / (2 * std::log(theta));
}

double yarn(double f, int i, double low, double high, double factor) {
  double r = (i - low) / (high - low);
  r = r < 0 ? 0 : r > 1 ? 1 : r;
  return f / factor * r + f * (1 - r);
}

template <typename Expected>
void check(const RopeConfig& config, Expected expected) {
  const auto found = rope_frequencies(config);
  REQUIRE(found.size() == static_cast<std::size_t>(config.rotary_dim / 2));
  for (int i = 0; i < config.rotary_dim / 2; ++i) {
    CAPTURE(i);
    CHECK(found[static_cast<std::size_t>(i)] == Approx(expected(i)).epsilon(1e-13));
  }
}

}  // namespace

TEST_CASE("default, linear and proportional frequencies") {
  check({.theta = 1e4, .rotary_dim = 24}, [](int i) { return plain(1e4, i, 24); });
  check({.type = RopeType::kLinear, .theta = 5e5, .rotary_dim = 64, .factor = 8.0},
        [](int i) { return plain(5e5, i, 64) / 8; });
  check({.type = RopeType::kProportional, .theta = 1e6, .rotary_dim = 16, .rotating_pairs = 3, .factor = 2.0},
        [](int i) { return i < 3 ? plain(1e6, i, 16) / 2 : 0.0; });
}

TEST_CASE("llama3 frequencies: kept, divided and blended") {
  const RopeConfig config{.type = RopeType::kLlama3,
                          .theta = 5e5,
                          .rotary_dim = 128,
                          .factor = 8.0,
                          .original_positions = 8192.0,
                          .low_freq_factor = 1.0,
                          .high_freq_factor = 4.0};
  check(config, [](int i) { return llama3(plain(5e5, i, 128), 8, 1, 4, 8192); });
  int kept = 0, divided = 0;
  for (int i = 0; i < 64; ++i) {
    const double f = plain(5e5, i, 128), found = rope_frequencies(config)[static_cast<std::size_t>(i)];
    kept += found == Approx(f).epsilon(1e-13) ? 1 : 0;
    divided += found == Approx(f / 8).epsilon(1e-13) ? 1 : 0;
  }
  CHECK(kept > 20);
  CHECK(divided > 20);
  CHECK(kept + divided < 64);
}

TEST_CASE("yarn frequencies") {
  RopeConfig config{.type = RopeType::kYarn,
                    .theta = 150000.0,
                    .rotary_dim = 64,
                    .factor = 32.0,
                    .original_positions = 4096.0,
                    .truncate = false};
  const double low = yarn_bound(32, 150000, 64, 4096), high = yarn_bound(1, 150000, 64, 4096);
  // Published for this model: a ramp from 8.1 to 17.4.
  CHECK(low == Approx(8.092).margin(1e-2));
  CHECK(high == Approx(17.398).margin(1e-2));
  check(config, [&](int i) { return yarn(plain(150000, i, 64), i, low, high, 32); });
  config.truncate = true;
  check(config, [&](int i) { return yarn(plain(150000, i, 64), i, std::floor(low), std::ceil(high), 32); });

  // Bounds outside [0, d - 1] are clipped, and a ramp of no length is a step behind its pair.
  config = {.type = RopeType::kYarn, .theta = 1e4, .rotary_dim = 16, .factor = 8.0, .original_positions = 64.0};
  CHECK(yarn_bound(32, 1e4, 16, 64) < 0);
  check(config, [](int i) { return yarn(plain(1e4, i, 16), i, 0, std::ceil(yarn_bound(1, 1e4, 16, 64)), 8); });
  config.original_positions = 6400.0;
  config.beta_fast = 64.0;
  config.beta_slow = 1e-6;
  CHECK(yarn_bound(1e-6, 1e4, 16, 6400) > 15);
  check(config, [](int i) { return yarn(plain(1e4, i, 16), i, std::floor(yarn_bound(64, 1e4, 16, 6400)), 15, 8); });
  config.beta_fast = 32.0;
  config.beta_slow = 1.0;
  config.original_positions = 6.0;
  check(config, [](int i) { return i == 0 ? 1.0 : plain(1e4, i, 16) / 8; });
}
