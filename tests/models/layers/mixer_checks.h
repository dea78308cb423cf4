#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/models/layers/lone_mixer.h"

namespace krait::test {

inline std::vector<float> random_inputs(int tokens, int hidden, unsigned seed = 3) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
  std::vector<float> x(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(hidden));
  for (float& value : x) value = uniform(random);
  return x;
}

/// `reference(x)` gives one token's output in double, and remembers the past.
template <typename Mixer, typename Config, typename Reference>
void check_formula(const Config& config, const std::string& folder, Reference reference) {
  constexpr int kTokens = 40;
  const int hidden = config.hidden_size;
  const std::vector<float> x = random_inputs(kTokens, hidden);
  const std::vector<float> found = LoneMixer<Mixer>(config, folder).run(x, {.begin = 0, .end = kTokens});
  double worst = 0.0;
  for (int t = 0; t < kTokens; ++t) {
    const std::vector<double> expected = reference({x.begin() + t * hidden, x.begin() + (t + 1) * hidden});
    for (int i = 0; i < hidden; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double difference = static_cast<double>(found[static_cast<std::size_t>(t * hidden + i)]) - expected[at];
      worst = std::max(worst, std::abs(difference) / (1.0 + std::abs(expected[at])));
    }
  }
  CHECK(worst < 2e-5);
}

/// Pieces, decoded tokens and a prompt continued from a snapshot give the bits of the whole, for every state dtype.
template <typename Mixer, typename Config>
void check_cuts(const Config& config, const std::string& folder) {
  constexpr int kTokens = 40;
  constexpr int kFirstDecode = 25;
  constexpr std::int32_t kSnapshotSlot = 2;
  std::mt19937 random(5);
  const std::vector<float> x = random_inputs(kTokens, config.hidden_size);
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    CAPTURE(dtype_name(dtype));
    const std::vector<float> whole = LoneMixer<Mixer>(config, folder, dtype).run(x, {.begin = 0, .end = kTokens});
    LoneMixer<Mixer> cut(config, folder, dtype);
    std::vector<float> pieces;
    for (int begin = 0; begin < kTokens;) {
      const bool decode = begin > kFirstDecode;
      const int end = decode ? begin + 1 : std::min(kTokens, begin + std::uniform_int_distribution(1, 6)(random));
      const auto piece = cut.run(x, {.begin = begin, .end = end, .decode = decode});
      pieces.insert(pieces.end(), piece.begin(), piece.end());
      begin = end;
    }
    CHECK(pieces == whole);

    LoneMixer<Mixer> kept(config, folder, dtype);
    for (const std::int32_t position : {1, 2, 17, kTokens - 1}) {
      const SnapshotRequest snapshot{.request = 0, .position = position, .slot = kSnapshotSlot};
      CHECK(kept.run(x, {.begin = 0, .end = kTokens, .snapshots = {snapshot}}) == whole);
      const auto rest = kept.run(x, {.begin = position, .end = kTokens, .slot = kSnapshotSlot});
      CHECK(rest == std::vector<float>(whole.begin() + std::ptrdiff_t{position} * config.hidden_size, whole.end()));
    }
  }
}

}  // namespace krait::test
