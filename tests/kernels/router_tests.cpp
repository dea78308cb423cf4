#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/kernels/test_support.h"

namespace krait {
namespace {

using test::Matrix;

/// Experts that show their weights: expert e answers every input with 1 in column e, so that the mixture's row is the
/// weight of each expert.
struct Probe {
  std::vector<PackedWeight> up, down;

  Probe(CpuPlatform& platform, int experts) {
    for (int e = 0; e < experts; ++e) {
      const Matrix one(1, 1, 1.0F);
      Matrix column(experts, 1);
      column.at(e, 0) = 1.0F;
      up.push_back(platform.pack({{one.view()}, {}}, {}, {}));
      down.push_back(platform.pack({{column.view()}, {}}, {}, {}));
    }
  }
  [[nodiscard]] Matrix weights(Operations& ops, const TensorView& logits, const RouterOptions& options) const {
    const Matrix x(logits.rows(), 1, 1.0F);
    Matrix out(logits.rows(), static_cast<std::int64_t>(up.size()), 99.0F);
    ops.moe({.x = x.view(),
             .logits = logits,
             .router = options,
             .up = up,
             .down = down,
             .activation = Activation::kNone,
             .gated = false,
             .out = out.view()});
    return out;
  }
};

/// The weight of each class of one row, in double.
std::vector<double> reference(const Matrix& logits, int t, const Matrix* bias, const RouterOptions& options) {
  const auto classes = static_cast<int>(logits.columns);
  const auto at = [](const std::vector<double>& v, int i) { return v[static_cast<std::size_t>(i)]; };
  std::vector<double> scores, keys;
  double all = 0.0;
  for (int c = 0; c < classes; ++c) all += std::exp(static_cast<double>(logits.at(t, c)));
  for (int c = 0; c < classes; ++c) {
    const double logit = static_cast<double>(logits.at(t, c));
    if (options.scoring == RouterScoring::kSoftmaxThenTopK) {
      scores.push_back(std::exp(logit) / all);
    } else if (options.scoring == RouterScoring::kSigmoid) {
      scores.push_back(1.0 / (1.0 + std::exp(-logit)));
    } else {
      scores.push_back(logit);
    }
    keys.push_back(scores.back() + (bias == nullptr ? 0.0 : static_cast<double>(bias->at(0, c))));
  }
  const int width = classes / options.groups;
  std::vector<std::pair<double, int>> groups;
  for (int g = 0; g < options.groups; ++g) {
    std::vector<double> part(keys.begin() + g * width, keys.begin() + (g + 1) * width);
    std::sort(part.begin(), part.end(), std::greater<>());
    groups.emplace_back(-(part[0] + (width > 1 ? part[1] : 0.0)), g);
  }
  std::sort(groups.begin(), groups.end());
  if (options.groups > 1) groups.resize(static_cast<std::size_t>(options.top_groups));
  std::vector<std::pair<double, int>> order;
  for (const auto& group : groups) {
    for (int c = group.second * width; c < (group.second + 1) * width; ++c) order.emplace_back(-at(keys, c), c);
  }
  std::sort(order.begin(), order.end());
  order.resize(static_cast<std::size_t>(options.top_k));
  const bool softmax = options.scoring == RouterScoring::kTopKThenSoftmax;
  double sum = 0.0;
  for (const auto& [key, c] : order) sum += softmax ? std::exp(at(scores, c)) : at(scores, c);
  std::vector<double> weights(static_cast<std::size_t>(classes));
  for (const auto& [key, c] : order) {
    double weight = softmax ? std::exp(at(scores, c)) / sum : at(scores, c);
    if (!softmax && options.renormalize) weight /= sum + static_cast<double>(options.renormalize_eps);
    weights[static_cast<std::size_t>(c)] = weight * static_cast<double>(options.weight_scale);
  }
  return weights;
}

}  // namespace

TEST_CASE("The router chooses and weighs by its options") {
  struct Case {
    int classes, groups, top_groups, top_k;
  };
  test::Machine& machine = *test::machines().back();
  std::uint32_t seed = 0;
  for (const Case& shape : {Case{1, 1, 1, 1}, Case{7, 1, 1, 3}, Case{33, 1, 1, 33}, Case{16, 4, 2, 5},
                            Case{24, 3, 1, 8}, Case{6, 6, 3, 2}, Case{128, 8, 4, 6}}) {
    for (const auto scoring :
         {RouterScoring::kTopKThenSoftmax, RouterScoring::kSoftmaxThenTopK, RouterScoring::kSigmoid}) {
      for (const bool renormalize : {false, true}) {
        for (const bool biased : {false, true}) {
          test::Random random(++seed);
          const int tokens = random.integer(1, 9);
          const int experts = std::max(1, shape.classes - random.integer(0, 2));
          CAPTURE(shape.classes, shape.groups, static_cast<int>(scoring), renormalize, biased, tokens, experts);
          const Probe probe(machine.platform, experts);
          const Matrix logits = random.matrix(tokens, shape.classes, 3.0F), bias = random.matrix(1, shape.classes);
          RouterOptions options{.top_k = shape.top_k,
                                .scoring = scoring,
                                .selection_bias = {},
                                .groups = shape.groups,
                                .top_groups = shape.top_groups,
                                .renormalize = renormalize,
                                .renormalize_eps = 0.01F,
                                .weight_scale = 2.5F};
          if (biased) options.selection_bias = bias.flat();
          const Matrix out = probe.weights(machine.ops(), logits.view(), options);
          std::vector<double> expected;
          for (int t = 0; t < tokens; ++t) {
            const auto row = reference(logits, t, biased ? &bias : nullptr, options);
            expected.insert(expected.end(), row.begin(), row.begin() + experts);
          }
          CHECK(test::worst_error(out.data, expected) < 2e-6);
          for (int t = 0; t < tokens; ++t) {
            const Matrix alone = probe.weights(machine.ops(), logits.view().slice_rows(t, 1), options);
            REQUIRE(test::same_bits(alone, out.slice(t, t + 1)));
          }
        }
      }
    }
  }
}

TEST_CASE("Logits of the router may be strided") {
  test::Random random(3);
  test::Machine machine;
  const Probe probe(machine.platform, 5);
  const Matrix wide = random.matrix(4, 9);
  Matrix narrow(4, 5);
  for (int t = 0; t < 4; ++t) {
    for (int c = 0; c < 5; ++c) narrow.at(t, c) = wide.at(t, 2 + c);
  }
  const RouterOptions options{.top_k = 2, .scoring = RouterScoring::kSigmoid};
  CHECK(test::same_bits(probe.weights(machine.ops(), wide.view().slice_columns(2, 5), options),
                        probe.weights(machine.ops(), narrow.view(), options)));
}

TEST_CASE("Of equal scores the lower expert is chosen; of equal groups the lower one") {
  test::Machine machine;
  const Probe probe(machine.platform, 6);
  const Matrix equal(1, 6, 0.5F);
  RouterOptions options{.top_k = 2, .scoring = RouterScoring::kTopKThenSoftmax};
  CHECK(probe.weights(machine.ops(), equal.view(), options).data == std::vector<float>{0.5F, 0.5F, 0, 0, 0, 0});
  Matrix last_best = equal;
  last_best.at(0, 5) = 0.75F;
  const Matrix chosen = probe.weights(machine.ops(), last_best.view(), options);
  CHECK(chosen.at(0, 0) > 0.0F);
  CHECK(chosen.at(0, 1) == 0.0F);
  CHECK(chosen.at(0, 5) > 0.5F);
  options.groups = 3;
  options.top_groups = 1;
  CHECK(probe.weights(machine.ops(), equal.view(), options).data == std::vector<float>{0.5F, 0.5F, 0, 0, 0, 0});
  Matrix later = equal;
  later.at(0, 4) = 0.75F;
  options.top_groups = 2;
  options.top_k = 4;
  options.scoring = RouterScoring::kSigmoid;
  const Matrix out = probe.weights(machine.ops(), later.view(), options);
  for (const int c : {0, 1, 4, 5}) CHECK(out.at(0, c) > 0.5F);
  for (const int c : {2, 3}) CHECK(out.at(0, c) == 0.0F);
}

TEST_CASE("Only a group's two best count, and an unchosen group stays out however bad the others are") {
  test::Machine machine;
  const Probe probe(machine.platform, 6);
  Matrix logits(1, 6);
  logits.data = {3.0F, -5.0F, -5.0F, 0.5F, 0.4F, 0.4F};  // sums of the two best: -2 and 0.9
  RouterOptions options{.top_k = 3, .groups = 2, .top_groups = 1};
  Matrix out = probe.weights(machine.ops(), logits.view(), options);
  CHECK(out.at(0, 0) == 0.0F);
  CHECK(out.at(0, 3) > 0.3F);
  // Every biased score below zero.
  const Matrix bias(1, 6, -10.0F);
  options.scoring = RouterScoring::kSigmoid;
  options.selection_bias = bias.flat();
  out = probe.weights(machine.ops(), logits.view(), options);
  CHECK(out.at(0, 0) == 0.0F);
  for (int c = 3; c < 6; ++c) CHECK(out.at(0, c) == Approx(1.0 / (1.0 + std::exp(-logits.at(0, c)))));
}

TEST_CASE("A class past the last expert contributes nothing") {
  test::Machine machine;
  const Probe probe(machine.platform, 2);
  Matrix logits(2, 3);
  logits.data = {0.0F, 1.0F, 9.0F, 0.0F, 9.0F, 1.0F};
  const RouterOptions one{.top_k = 1, .scoring = RouterScoring::kSoftmaxThenTopK};
  Matrix out = probe.weights(machine.ops(), logits.view(), one);
  CHECK(out.at(0, 0) == 0.0F);
  CHECK(out.at(0, 1) == 0.0F);
  CHECK(out.at(1, 1) > 0.99F);
  // All tokens choose it.
  out = probe.weights(machine.ops(), logits.view().slice_rows(0, 1), one);
  CHECK(out.data == std::vector<float>{0.0F, 0.0F});
}

TEST_CASE("A NaN logit is never chosen before a number, and a row of NaNs stays NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& machine : test::machines()) {
    const Probe probe(machine->platform, 3);
    Matrix logits(2, 3);
    logits.data = {nan, 1.0F, -1.0F, nan, nan, nan};
    const Matrix out =
        probe.weights(machine->ops(), logits.view(), {.top_k = 2, .scoring = RouterScoring::kTopKThenSoftmax});
    CHECK(out.at(0, 0) == 0.0F);
    CHECK(out.at(0, 1) > out.at(0, 2));
    CHECK(std::isnan(out.at(1, 0)));
  }
}

}  // namespace krait
