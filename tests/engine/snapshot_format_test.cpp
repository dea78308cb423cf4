#include "engine/cache/snapshot_format.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace krait;

namespace {

/// Two states with something between, before and behind them.
CacheLayout layout_of(DType dtype) {
  CacheLayout layout;
  layout.slot_bytes = 60;
  layout.float_states = {{.offset = 8, .bytes = 16}, {.offset = 32, .bytes = 8}};
  layout.snapshot_dtype = dtype;
  return layout;
}

using Slot = std::array<std::byte, 60>;

Slot slot_of(const std::array<float, 6>& states) {
  Slot slot{};
  for (std::size_t i = 0; i < slot.size(); ++i) slot[i] = static_cast<std::byte>(i + 1);
  std::memcpy(slot.data() + 8, states.data(), 16);
  std::memcpy(slot.data() + 32, states.data() + 4, 8);
  return slot;
}

std::array<float, 6> states_of(const Slot& slot) {
  std::array<float, 6> states{};
  std::memcpy(states.data(), slot.data() + 8, 16);
  std::memcpy(states.data() + 4, slot.data() + 32, 8);
  return states;
}

Slot there_and_back(const CacheLayout& layout, const Slot& slot) {
  std::vector<std::byte> snapshot(snapshot_bytes(layout));
  pack_snapshot(layout, slot.data(), snapshot.data());
  Slot back{};
  unpack_snapshot(layout, snapshot.data(), back.data());
  return back;
}

}  // namespace

TEST_CASE("snapshots are as large as slots unless float32 states are kept in 16 bits", "[snapshot_format]") {
  CHECK(snapshot_bytes(layout_of(DType::kFloat32)) == 60);
  CHECK_FALSE(packs_snapshots(layout_of(DType::kFloat32)));
  CHECK(snapshot_bytes(layout_of(DType::kBFloat16)) == 48);
  CHECK(packs_snapshots(layout_of(DType::kFloat16)));
  CacheLayout without_floats = layout_of(DType::kFloat16);
  without_floats.float_states.clear();
  CHECK_FALSE(packs_snapshots(without_floats));
  CHECK(snapshot_bytes(without_floats) == 60);
}

TEST_CASE("What 16 bits can hold comes back with all its bits, as does what lies around the states",
          "[snapshot_format]") {
  const Slot slot = slot_of({1.0F, -0.0F, 0.5F, -3.25F, 128.0F, 0.0F});
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) CHECK(there_and_back(layout_of(dtype), slot) == slot);
}

TEST_CASE("Other states are rounded to nearest, and what float16 cannot hold becomes its largest number",
          "[snapshot_format]") {
  const Slot slot = slot_of({1.003F, 1e6F, -1e6F, 3e38F, std::numeric_limits<float>::quiet_NaN(), 1e-3F});
  const auto half = states_of(there_and_back(layout_of(DType::kFloat16), slot));
  CHECK(half[0] == 1.0029297F);
  CHECK(half[1] == 65504.0F);
  CHECK(half[2] == -65504.0F);
  CHECK(std::isnan(half[4]));
  const auto brain = states_of(there_and_back(layout_of(DType::kBFloat16), slot));
  CHECK(brain[0] == 1.0F);
  CHECK(brain[1] == 999424.0F);
  CHECK(std::isfinite(brain[3]));
  CHECK(std::isnan(brain[4]));
}
