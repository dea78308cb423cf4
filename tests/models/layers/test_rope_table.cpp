#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/cpu/cpu_platform.h"
#include "models/layers/rope_tables.h"

using namespace krait;

TEST_CASE("a rope table holds the cosines and sines of position * frequency, times the attention factor") {
  CpuPlatform platform(CpuOptions{.threads = 1});
  const RopeConfig config{.theta = 1e4, .rotary_dim = 6, .offset = 3, .interleaved = true, .attention_factor = 1.25};
  const RopeTable table(platform, config, 5000);
  const RopeView view = table.view();
  CHECK(view.rotary_dim == 6);
  CHECK(view.offset == 3);
  CHECK(view.interleaved);
  CHECK(view.cos.shape == Shape{5000, 3});
  CHECK(view.sin.shape == Shape{5000, 3});
  for (const int position : {0, 1, 17, 4999}) {
    for (int i = 0; i < 3; ++i) {
      const double angle = position / std::pow(1e4, 2.0 * i / 6.0);
      CAPTURE(position, i);
      CHECK(static_cast<double>(view.cos.row<float>(position)[i]) == Approx(1.25 * std::cos(angle)).margin(1e-7));
      CHECK(static_cast<double>(view.sin.row<float>(position)[i]) == Approx(1.25 * std::sin(angle)).margin(1e-7));
    }
  }
}

TEST_CASE("layers with equal rotary settings share a table") {
  CpuPlatform platform(CpuOptions{.threads = 1});
  RopeTables tables(platform, 4);
  const RopeConfig a{.rotary_dim = 8};
  RopeConfig b = a;
  b.type = RopeType::kLinear;
  b.factor = 2.0;
  CHECK(tables.get(std::nullopt) == nullptr);
  CHECK(tables.get(a) == tables.get(RopeConfig{.rotary_dim = 8}));
  CHECK(tables.get(a) != tables.get(b));
}
