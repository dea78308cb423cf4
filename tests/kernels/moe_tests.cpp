#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "tests/kernels/activation_support.h"
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

TEST_CASE("Experts of any widths and activation, with biases, on strided rows, and a class without an expert") {
  struct Case {
    bool gated;
    Activation activation;
  };
  std::uint32_t seed = 20;
  for (const Case& kind :
       {Case{false, Activation::kRelu2}, Case{false, Activation::kGelu}, Case{true, Activation::kSwigluClamp},
        Case{true, Activation::kGeluTanh}, Case{true, Activation::kSilu}}) {
    for (const DType compute : {DType::kFloat32, DType::kBFloat16}) {
      test::Random random(++seed);
      test::Machine& machine = *test::machines().back();
      const int count = 5, classes = 6, tokens = random.integer(1, 30), inputs = random.integer(1, 40);
      const int inner = random.integer(1, 50), outputs = random.integer(1, 60);
      CAPTURE(static_cast<int>(kind.activation), dtype_name(compute), tokens, inputs, inner, outputs);
      std::vector<Matrix> gate, up, down, gate_bias, up_bias, down_bias;
      std::vector<PackedWeight> first, second;
      for (int e = 0; e < count; ++e) {
        gate.push_back(random.matrix(inner, inputs));
        up.push_back(random.matrix(inner, inputs));
        down.push_back(random.matrix(outputs, inner));
        gate_bias.push_back(random.matrix(1, inner));
        up_bias.push_back(random.matrix(1, inner));
        down_bias.push_back(random.matrix(1, outputs));
        // Every other expert's weights are exact in bfloat16: the experts' layouts differ.
        if (e % 2 == 0) {
          for (Matrix* m : {&gate.back(), &up.back(), &down.back()}) {
            for (float& w : m->data) w = test::round_to(w, DType::kBFloat16);
          }
        }
        const WeightSource both{{gate.back().view(), up.back().view()},
                                {gate_bias.back().flat(), up_bias.back().flat()}};
        const WeightSource alone{{up.back().view()}, {up_bias.back().flat()}};
        const PackScheme scheme{.compute_dtype = compute, .gate_up = kind.gated};
        first.push_back(machine.platform.pack(kind.gated ? both : alone, scheme, {}));
        second.push_back(
            machine.platform.pack({{down.back().view()}, {down_bias.back().flat()}}, {.compute_dtype = compute}, {}));
      }
      const Matrix wide = random.matrix(tokens, inputs + 7), logits = random.matrix(tokens, classes, 2.0F);
      const Matrix before = random.matrix(tokens, outputs);
      Matrix out = before;
      MoeArgs args{.x = wide.view().slice_columns(4, inputs),
                   .logits = logits.view(),
                   .router = {.top_k = 2, .scoring = RouterScoring::kSigmoid},
                   .up = first,
                   .down = second,
                   .activation = kind.activation,
                   .gated = kind.gated,
                   .limit = 0.8F,
                   .scale = 0.5F,
                   .accumulate = true,
                   .out = out.view()};
      machine.ops().moe(args);
      std::vector<double> expected;
      for (int t = 0; t < tokens; ++t) {
        std::vector<double> row;
        for (int i = 0; i < outputs; ++i) row.push_back(static_cast<double>(before.at(t, i)));
        for (int e = 0; e < count; ++e) {
          int better = 0;
          for (int other = 0; other < classes; ++other) better += logits.at(t, other) > logits.at(t, e) ? 1 : 0;
          if (better >= 2) continue;
          const double weight = test::exact_activation(Activation::kSigmoid, static_cast<double>(logits.at(t, e)));
          const auto index = static_cast<std::size_t>(e);
          std::vector<float> middle;
          for (int j = 0; j < inner; ++j) {
            double g = static_cast<double>(gate_bias[index].at(0, j)), u = static_cast<double>(up_bias[index].at(0, j));
            for (int i = 0; i < inputs; ++i) {
              const double x = static_cast<double>(test::round_to(wide.at(t, 4 + i), compute));
              g += static_cast<double>(gate[index].at(j, i)) * x;
              u += static_cast<double>(up[index].at(j, i)) * x;
            }
            if (kind.activation == Activation::kSwigluClamp) {
              g = std::min(g, 0.8);
              u = g / (1.0 + std::exp(-1.702 * g)) * (std::clamp(u, -0.8, 0.8) + 1.0);
            } else {
              u = kind.gated ? test::exact_activation(kind.activation, g) * u
                             : test::exact_activation(kind.activation, u);
            }
            middle.push_back(test::round_to(static_cast<float>(u), compute));
          }
          for (int i = 0; i < outputs; ++i) {
            double sum = static_cast<double>(down_bias[index].at(0, i));
            for (int j = 0; j < inner; ++j) {
              sum +=
                  static_cast<double>(down[index].at(i, j)) * static_cast<double>(middle[static_cast<std::size_t>(j)]);
            }
            row[static_cast<std::size_t>(i)] += 0.5 * weight * sum;
          }
        }
        expected.insert(expected.end(), row.begin(), row.end());
      }
      // A value that bfloat16 rounds the other way is off by a unit of its last place.
      CHECK(test::worst_error(out.data, expected) < (compute == DType::kFloat32 ? 2e-5 : 1e-2));
      for (int t = 0; t < tokens; ++t) {
        Matrix alone = before.slice(t, t + 1);
        MoeArgs one = args;
        one.x = args.x.slice_rows(t, 1);
        one.logits = args.logits.slice_rows(t, 1);
        one.out = alone.view();
        machine.ops().moe(one);
        REQUIRE(test::same_bits(alone, out.slice(t, t + 1)));
      }
    }
  }
}

}  // namespace krait
