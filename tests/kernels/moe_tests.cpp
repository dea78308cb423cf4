#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "tests/kernels/test_support.h"

namespace krait {
namespace {

using test::Matrix;

struct Experts {
  int hidden = 30, inner = 20, count = 6;
  Matrix router;
  std::vector<Matrix> gate, up, down;
  PackedWeight packed_router;
  std::vector<PackedWeight> packed_gate_up, packed_down;

  Experts(test::Random& random, CpuPlatform& platform) : router(random.matrix(count, hidden)) {
    for (int e = 0; e < count; ++e) {
      gate.push_back(random.matrix(inner, hidden));
      up.push_back(random.matrix(inner, hidden));
      down.push_back(random.matrix(hidden, inner));
      packed_gate_up.push_back(platform.pack({{gate.back().view(), up.back().view()}, {}}, {.gate_up = true}, {}));
      packed_down.push_back(platform.pack({{down.back().view()}, {}}, {}, {}));
    }
    packed_router = platform.pack({{router.view()}, {}}, {}, {});
  }
  [[nodiscard]] Matrix logits(Operations& ops, const Matrix& x) const {
    Matrix y(static_cast<int>(x.view().rows()), count);
    ops.linear({.weight = &packed_router, .x = x.view(), .y = y.view()});
    return y;
  }
  [[nodiscard]] MoeArgs args(const Matrix& x, const Matrix& logits, const Matrix& out, RouterScoring scoring,
                             bool renormalize) const {
    return {.x = x.view(),
            .logits = logits.view(),
            .router = {.top_k = 3, .scoring = scoring, .renormalize = renormalize},
            .up = packed_gate_up,
            .down = packed_down,
            .scale = 2.0F,
            .out = out.view()};
  }

  [[nodiscard]] std::vector<double> reference(const Matrix& x, int t, RouterScoring scoring, bool renormalize) const {
    const auto dot = [&](const Matrix& w, int row, const std::vector<double>& v) {
      double sum = 0.0;
      for (std::size_t i = 0; i < v.size(); ++i)
        sum += static_cast<double>(w.at(row, static_cast<std::int64_t>(i))) * v[i];
      return sum;
    };
    std::vector<double> in;
    for (int i = 0; i < hidden; ++i) in.push_back(static_cast<double>(x.at(t, i)));
    std::vector<double> scores;
    for (int e = 0; e < count; ++e) scores.push_back(dot(router, e, in));
    std::vector<int> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    double all = 0.0;
    for (const double s : scores) all += std::exp(s);
    std::vector<double> weights;
    for (int i = 0; i < 3; ++i) {
      const double s = scores[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])];
      weights.push_back(scoring == RouterScoring::kSigmoid ? 1.0 / (1.0 + std::exp(-s)) : std::exp(s) / all);
    }
    if (renormalize || scoring == RouterScoring::kTopKThenSoftmax) {
      const double sum = weights[0] + weights[1] + weights[2];
      for (double& w : weights) w /= sum;
    }
    std::vector<double> out(static_cast<std::size_t>(hidden));
    for (std::size_t i = 0; i < 3; ++i) {
      const auto e = static_cast<std::size_t>(order[i]);
      std::vector<double> middle;
      for (int j = 0; j < inner; ++j) {
        const double g = dot(gate[e], j, in);
        middle.push_back(g / (1.0 + std::exp(-g)) * dot(up[e], j, in));
      }
      for (int j = 0; j < hidden; ++j) out[static_cast<std::size_t>(j)] += 2.0 * weights[i] * dot(down[e], j, middle);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("A mixture of experts is the weighted sum of its chosen experts") {
  test::Random random(4);
  test::Machine& machine = *test::machines().back();
  const Experts experts(random, machine.platform);
  const Matrix x = random.matrix(17, experts.hidden);
  for (const auto scoring :
       {RouterScoring::kTopKThenSoftmax, RouterScoring::kSoftmaxThenTopK, RouterScoring::kSigmoid}) {
    for (const bool renormalize : {false, true}) {
      CAPTURE(static_cast<int>(scoring), renormalize);
      Matrix out(17, experts.hidden);
      machine.ops().moe(experts.args(x, experts.logits(machine.ops(), x), out, scoring, renormalize));
      std::vector<double> expected;
      for (int t = 0; t < 17; ++t) {
        const auto row = experts.reference(x, t, scoring, renormalize);
        expected.insert(expected.end(), row.begin(), row.end());
      }
      CHECK(test::worst_error(out.data, expected) < 2e-5);
      // Alone as in company.
      for (int t = 0; t < 17; ++t) {
        const Matrix one = x.slice(t, t + 1);
        Matrix alone(1, experts.hidden);
        machine.ops().moe(experts.args(one, experts.logits(machine.ops(), one), alone, scoring, renormalize));
        REQUIRE(test::same_bits(alone, out.slice(t, t + 1)));
      }
    }
  }
}

TEST_CASE("The result is added where that is asked") {
  test::Random random(7);
  test::Machine machine;
  const Experts experts(random, machine.platform);
  const Matrix x = random.matrix(2, experts.hidden);
  Matrix plain(2, experts.hidden), added(2, experts.hidden, 10.0F);
  const Matrix logits = experts.logits(machine.ops(), x);
  machine.ops().moe(experts.args(x, logits, plain, RouterScoring::kSigmoid, true));
  MoeArgs args = experts.args(x, logits, added, RouterScoring::kSigmoid, true);
  args.accumulate = true;
  machine.ops().moe(args);
  for (std::size_t i = 0; i < plain.data.size(); ++i) CHECK(added.data[i] == 10.0F + plain.data[i]);
}

}  // namespace krait
