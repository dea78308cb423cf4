#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>

#include "tests/emulation/emulation_support.h"

namespace krait {
namespace {

using test::Matrix;

/// Experts of random shapes, in the CPU's and the emulated GPU's form.
struct Layer {
  std::vector<std::vector<std::byte>> data;
  std::vector<PackedWeight> up[2], down[2];
};

struct Sizes {
  int tokens = 1, inputs = 8, inner = 8, outputs = 8, experts = 4, classes = 4, top_k = 2;
  bool gated = true;
};

template <typename Pack>
void add_expert(Layer& layer, test::Random& random, const Sizes& sizes, DType compute, bool bias, Pack pack) {
  const auto matrix = [&](int rows, int columns) {
    layer.data.push_back(test::encode(random.matrix(rows, columns).data, DType::kBFloat16));
    return TensorView(layer.data.back().data(), DType::kBFloat16, Shape{rows, columns});
  };
  const auto vector = [&](int n) {
    layer.data.push_back(test::encode(random.matrix(1, n).data, DType::kFloat32));
    return TensorView(layer.data.back().data(), DType::kFloat32, Shape{n});
  };
  WeightSource up, down;
  for (int i = 0; i < (sizes.gated ? 2 : 1); ++i) {
    up.parts.push_back(matrix(sizes.inner, sizes.inputs));
    if (bias) up.biases.push_back(vector(sizes.inner));
  }
  down.parts.push_back(matrix(sizes.outputs, sizes.inner));
  if (bias) down.biases.push_back(vector(sizes.outputs));
  pack(up, PackScheme{.compute_dtype = compute, .gate_up = sizes.gated}, layer.up);
  pack(down, PackScheme{.compute_dtype = compute}, layer.down);
}

}  // namespace

TEST_CASE("emulated: mixtures of experts agree with the CPU") { test::check_agreement("mixture of experts", 1e-4); }

TEST_CASE("emulated: experts of random shapes agree with the CPU") {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    test::Random random(seed);
    Sizes sizes{.tokens = random.integer(1, 20),
                .inputs = random.integer(1, 90),
                .inner = random.integer(1, 80),
                .outputs = random.integer(1, 20),
                .experts = random.integer(1, 20),
                .gated = seed % 3 != 0};
    if (seed % 4 == 2) sizes.tokens = random.integer(60, 100), sizes.experts = random.integer(2, 3);
    const int groups = seed % 4 == 0 ? 2 : 1;
    sizes.classes = (sizes.experts + random.integer(0, 3) + groups - 1) / groups * groups;
    sizes.top_k = random.integer(1, std::min(sizes.classes / groups, 9));
    // Rows of 8 columns are read 16 bytes at a time.
    if (seed % 2 == 0) sizes.inputs = 8 * random.integer(1, 12), sizes.inner = 8 * random.integer(1, 12);
    for (const DType compute : {DType::kFloat32, DType::kBFloat16}) {
      CAPTURE(seed, sizes.tokens, sizes.experts, sizes.classes, sizes.top_k, dtype_name(compute));
      Layer layer;
      for (int e = 0; e < sizes.experts; ++e) {
        add_expert(layer, random, sizes, compute, seed % 2 == 1, [&](const auto& source, const auto& scheme, auto& to) {
          to[0].push_back(cpu.platform.pack(source, scheme, {}));
          to[1].push_back(gpu->pack(source, scheme, {}));
        });
      }
      const Matrix x = random.matrix(sizes.tokens, sizes.inputs);
      Matrix logits = random.matrix(sizes.tokens, sizes.classes, 3.0F);
      for (float& logit : logits.data) {
        if (seed % 5 == 0) logit = static_cast<float>(random.integer(0, 2));  // ties
      }
      if (seed % 5 == 1) logits.at(0, 0) = std::numeric_limits<float>::quiet_NaN();
      const Matrix before = random.matrix(sizes.tokens, sizes.outputs);
      Matrix results[2] = {before, before};
      const auto run = [&](Operations& ops, int which) {
        results[which] = before;
        ops.moe({.x = x.view(),
                 .logits = logits.view(),
                 .router = {.top_k = sizes.top_k,
                            .scoring = static_cast<RouterScoring>(seed % 5 == 1 ? 2 : seed % 3),
                            .groups = groups,
                            .top_groups = 1,
                            .renormalize = seed % 2 == 0},
                 .up = layer.up[which],
                 .down = layer.down[which],
                 .gated = sizes.gated,
                 .scale = 0.8F,
                 .accumulate = seed % 2 == 0,
                 .out = results[which].view()});
      };
      run(cpu.ops(), 0);
      const std::vector<double> expected(results[0].data.begin(), results[0].data.end());
      test::in_every_order([&] {
        run(queue->ops(), 1);
        queue->wait();
        // Values between the products are rounded: one that is near a boundary may go the other way.
        CHECK(test::worst_error(results[1].data, expected) <= (compute == DType::kFloat32 ? 1e-4 : 2e-2));
      });
    }
  }
}

TEST_CASE("emulated: experts of many rows and outputs agree with the CPU") {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  test::Random random(4);
  const Sizes sizes{.tokens = 300, .inputs = 72, .inner = 136, .outputs = 200, .experts = 3, .top_k = 2};
  Layer layer;
  for (int e = 0; e < sizes.experts; ++e) {
    add_expert(layer, random, sizes, DType::kBFloat16, false, [&](const auto& source, const auto& scheme, auto& to) {
      to[0].push_back(cpu.platform.pack(source, scheme, {}));
      to[1].push_back(gpu->pack(source, scheme, {}));
    });
  }
  const Matrix x = random.matrix(sizes.tokens, sizes.inputs), logits = random.matrix(sizes.tokens, sizes.classes);
  Matrix results[2] = {Matrix(sizes.tokens, sizes.outputs), Matrix(sizes.tokens, sizes.outputs)};
  const auto run = [&](Operations& ops, int which) {
    ops.moe({.x = x.view(),
             .logits = logits.view(),
             .router = {.top_k = sizes.top_k},
             .up = layer.up[which],
             .down = layer.down[which],
             .out = results[which].view()});
  };
  run(cpu.ops(), 0);
  run(queue->ops(), 1);
  queue->wait();
  CHECK(test::worst_error(results[1].data, {results[0].data.begin(), results[0].data.end()}) <= 3e-2);
}

}  // namespace krait
