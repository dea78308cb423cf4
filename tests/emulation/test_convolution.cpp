#include <catch2/catch.hpp>

#include "tests/emulation/recurrence_support.h"

namespace krait {
namespace {

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

}  // namespace

TEST_CASE("emulated: convolutions agree with the CPU") { test::check_agreement("convolution", 2e-6); }

TEST_CASE("emulated: convolutions of ragged batches agree with the CPU") {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    test::check_recurrence(test::make_convolution, seed, kTypes[seed % 3], {1, 17, 3, 40, 16}, 2e-6);
    test::check_recurrence(test::make_convolution, seed, kTypes[seed % 3], {1, 1, 1}, 2e-6);
  }
}

TEST_CASE("emulated: grouped convolutions agree with the CPU") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    test::check_recurrence(test::make_grouped_convolution, seed, kTypes[seed % 3], {1, 9, 3}, 1e-5);
  }
}

// The last tile must not write the slot that the first one still reads.
TEST_CASE("emulated: a long convolution reads and writes one slot, whatever its tiles' order") {
  for (const int kernel : {2, 3, 4, 20}) {
    test::Random random(3);
    const test::ConvModel model(random, kernel, 130);
    test::Machine cpu("portable", 1);
    const auto gpu = test::make_emulated_platform();
    const auto queue = gpu->create_queue();
    const test::Matrix x = random.matrix(90, model.channels);
    const auto run = [&](Operations& ops) {
      test::StateSlots slots(3, std::int64_t{kernel - 1} * model.channels, 0, DType::kFloat32, DType::kFloat32);
      test::Sequences sequences;
      sequences.add(50, 1, 1, false);
      std::vector<float> out = model.run(ops, x.slice(0, 50), sequences, slots.view).data;
      test::Sequences next;
      next.add(40, 1, 1, true);
      const test::Matrix rest = model.run(ops, x.slice(50, 90), next, slots.view);
      out.insert(out.end(), rest.data.begin(), rest.data.end());
      slots.append_to(out);
      return out;
    };
    const std::vector<float> expected = run(cpu.ops());
    test::in_every_order([&] {
      CHECK(test::worst_error(run(queue->ops()), {expected.begin(), expected.end()}) < 2e-6);
    });
  }
}

}  // namespace krait
