#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "kernels/result.h"
#include "tests/kernels/activation_support.h"
#include "tests/kernels/test_support.h"

namespace krait {
namespace {

using test::Matrix;

double silu(double x) { return x / (1.0 + std::exp(-x)); }

/// x W^T + b in double.
std::vector<double> product(const Matrix& x, const Matrix& w, const Matrix* bias, DType rows = DType::kFloat32) {
  std::vector<double> y;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < w.rows; ++c) {
      double sum = bias == nullptr ? 0.0 : static_cast<double>(bias->data[static_cast<std::size_t>(c)]);
      for (std::int64_t k = 0; k < x.columns; ++k) {
        sum += static_cast<double>(test::round_to(x.at(r, k), rows)) * static_cast<double>(w.at(c, k));
      }
      y.push_back(sum);
    }
  }
  return y;
}

Matrix run(test::Machine& machine, const PackedWeight& weight, const Matrix& x, std::int64_t columns) {
  Matrix y(x.rows, columns);
  machine.ops().linear({&weight, x.view(), y.view(), {}});
  return y;
}

}  // namespace

TEST_CASE("linear is x W^T + b for every stored dtype") {
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    test::Random random(seed);
    const int n = random.integer(1, 200), k = random.integer(1, 600), rows = random.integer(1, 300);
    Matrix w = random.matrix(n, k);
    const Matrix bias = random.matrix(1, n);
    const Matrix x = random.matrix(rows, k);
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      CAPTURE(seed, n, k, rows, dtype_name(dtype));
      for (float& value : w.data) value = test::round_to(value, dtype);
      std::vector<std::byte> data = test::encode(w.data, dtype);
      test::Machine& machine = *test::machines().back();
      const PackedWeight weight =
          machine.platform.pack({{TensorView(data.data(), dtype, Shape{n, k})}, {bias.flat()}}, {}, {});
      CHECK(weight.out_features() == n);
      CHECK(weight.in_features() == k);
      const Matrix y = run(machine, weight, x, n);
      CHECK(test::worst_error(y.data, product(x, w, &bias)) < 2e-5);
    }
  }
}

TEST_CASE("Parts are merged, and gate and up meet in the gated form") {
  test::Random random(11);
  test::Machine machine;
  const Matrix gate = random.matrix(37, 50), up = random.matrix(37, 50), x = random.matrix(9, 50);
  const Matrix gate_bias = random.matrix(1, 37), up_bias = random.matrix(1, 37);
  const auto g = product(x, gate, &gate_bias);
  const auto u = product(x, up, &up_bias);

  const PackedWeight merged =
      machine.platform.pack({{gate.view(), up.view()}, {gate_bias.flat(), up_bias.flat()}}, {}, {});
  std::vector<double> both;
  for (int r = 0; r < 9; ++r) {
    both.insert(both.end(), g.begin() + r * 37, g.begin() + r * 37 + 37);
    both.insert(both.end(), u.begin() + r * 37, u.begin() + r * 37 + 37);
  }
  CHECK(test::worst_error(run(machine, merged, x, 74).data, both) < 1e-5);

  const PackedWeight gated =
      machine.platform.pack({{gate.view(), up.view()}, {gate_bias.flat(), up_bias.flat()}}, {.gate_up = true}, {});
  CHECK(gated.out_features() == 74);
  Matrix y(9, 37, 1.0F);
  machine.ops().linear({&gated,
                        x.view(),
                        y.view(),
                        {.activation = Activation::kSilu, .gated = true, .scale = 0.5F, .accumulate = true}});
  std::vector<double> expected;
  for (std::size_t i = 0; i < g.size(); ++i) expected.push_back(1.0 + 0.5 * silu(g[i]) * u[i]);
  CHECK(test::worst_error(y.data, expected) < 1e-5);
}

TEST_CASE("Every activation of the product, with bias, scale and accumulate") {
  test::Machine& machine = *test::machines().back();
  std::uint32_t seed = 100;
  for (const Activation activation : test::activations()) {
    for (const bool gated : {false, true}) {
      for (const int rows : {1, 7}) {
        test::Random random(++seed);
        const int n = random.integer(1, 90), k = random.integer(1, 40);
        const float gate_scale = gated ? 0.6F : 1.0F;
        const bool accumulate = random.integer(0, 1) == 1;
        CAPTURE(static_cast<int>(activation), gated, rows, n, k, accumulate);
        const Matrix x = random.matrix(rows, k);
        const Matrix first = random.matrix(n, k), second = random.matrix(n, k);
        const Matrix first_bias = random.matrix(1, n), second_bias = random.matrix(1, n);
        const PackedWeight weight =
            gated ? machine.platform.pack({{first.view(), second.view()}, {first_bias.flat(), second_bias.flat()}},
                                          {.gate_up = true}, {})
                  : machine.platform.pack({{first.view()}, {first_bias.flat()}}, {}, {});
        const Matrix before = random.matrix(rows, n);
        Matrix y = before;
        machine.ops().linear({&weight,
                              x.view(),
                              y.view(),
                              {.activation = activation,
                               .gated = gated,
                               .gate_scale = gate_scale,
                               .scale = 0.5F,
                               .accumulate = accumulate}});
        const auto g = product(x, first, &first_bias), u = product(x, second, &second_bias);
        std::vector<double> expected;
        for (std::size_t i = 0; i < g.size(); ++i) {
          const double act = test::exact_activation(activation, static_cast<double>(gate_scale) * g[i]);
          expected.push_back(0.5 * act * (gated ? u[i] : 1.0) +
                             (accumulate ? static_cast<double>(before.data[i]) : 0.0));
        }
        CHECK(test::worst_error(y.data, expected) < 1e-5);
      }
    }
  }
}

TEST_CASE("The clamped swiglu bounds gate and up, and a NaN passes it") {
  test::Machine& machine = *test::machines().back();
  test::Random random(12);
  const int n = 37, k = 20;
  const float limit = 1.5F;
  const Matrix gate = random.matrix(n, k), up = random.matrix(n, k);
  const Matrix gate_bias = random.matrix(1, n), up_bias = random.matrix(1, n);
  Matrix x = random.matrix(6, k, 3.0F);
  const PackedWeight weight =
      machine.platform.pack({{gate.view(), up.view()}, {gate_bias.flat(), up_bias.flat()}}, {.gate_up = true}, {});
  Matrix y(6, n);
  const Epilogue epilogue{.activation = Activation::kSwigluClamp, .gated = true, .limit = limit};
  machine.ops().linear({&weight, x.view(), y.view(), epilogue});
  const auto g = product(x, gate, &gate_bias), u = product(x, up, &up_bias);
  std::vector<double> expected;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double bounded = std::min(g[i], 1.5);
    expected.push_back(bounded / (1.0 + std::exp(-1.702 * bounded)) * (std::min(std::max(u[i], -1.5), 1.5) + 1.0));
  }
  CHECK(test::worst_error(y.data, expected) < 1e-5);
  x.at(2, 5) = std::numeric_limits<float>::quiet_NaN();
  machine.ops().linear({&weight, x.view(), y.view(), epilogue});
  for (int c = 0; c < n; ++c) {
    CHECK(std::isnan(y.at(2, c)));
    CHECK(!std::isnan(y.at(1, c)));
  }
}

TEST_CASE("A row has the same bits alone and in any batch") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
      test::Random random(seed);
      const int n = random.integer(1, 300), k = random.integer(1, 700);
      CAPTURE(machine->label, seed, n, k);
      for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
        std::vector<std::byte> data = test::encode(random.matrix(n, k).data, dtype);
        for (const DType compute : {DType::kFloat32, DType::kBFloat16}) {
          const PackedWeight weight = machine->platform.pack({{TensorView(data.data(), dtype, Shape{n, k})}, {}},
                                                             {.compute_dtype = compute}, {});
          const Matrix x = random.matrix(211, k);
          const Matrix all = run(*machine, weight, x, n);
          for (const int row : {0, 1, 191, 192, 210}) {
            REQUIRE(test::same_bits(run(*machine, weight, x.slice(row, row + 1), n), all.slice(row, row + 1)));
          }
          for (const int count : {2, 3, 4, 5, 6, 7, 9, 12, 13, 30, 193}) {
            REQUIRE(test::same_bits(run(*machine, weight, x.slice(211 - count, 211), n), all.slice(211 - count, 211)));
          }
        }
      }
    }
  }
}

TEST_CASE("bfloat16 compute rounds the rows and nothing else") {
  test::Random random(5);
  test::Machine machine;
  const Matrix w = random.matrix(40, 90), x = random.matrix(7, 90);
  const PackedWeight weight = machine.platform.pack({{w.view()}, {}}, {.compute_dtype = DType::kBFloat16}, {});
  CHECK(test::worst_error(run(machine, weight, x, 40).data, product(x, w, nullptr, DType::kBFloat16)) < 1e-5);
}

TEST_CASE("Shards along the output are rows of the whole; shards along the input add up to it") {
  test::Random random(6);
  test::Machine machine;
  const Matrix q = random.matrix(8, 12), v = random.matrix(4, 12), x = random.matrix(3, 12);
  const Matrix q_bias = random.matrix(1, 8), v_bias = random.matrix(1, 4);
  const WeightSource source{{q.view(), v.view()}, {q_bias.flat(), v_bias.flat()}};
  const Matrix whole = run(machine, machine.platform.pack(source, {}, {}), x, 12);
  Matrix sum(3, 12);
  for (int rank = 0; rank < 2; ++rank) {
    const PackedWeight output = machine.platform.pack(source, {}, {Shard::Axis::kOutput, rank, 2});
    REQUIRE(output.out_features() == 6);
    const Matrix part = run(machine, output, x, 6);
    for (int r = 0; r < 3; ++r) {
      for (int c = 0; c < 4; ++c) CHECK(part.at(r, c) == whole.at(r, rank * 4 + c));
      for (int c = 0; c < 2; ++c) CHECK(part.at(r, 4 + c) == whole.at(r, 8 + rank * 2 + c));
    }
    const PackedWeight input = machine.platform.pack(source, {}, {Shard::Axis::kInput, rank, 2});
    REQUIRE(input.in_features() == 6);
    Matrix half(3, 6);
    for (int r = 0; r < 3; ++r) {
      for (int k = 0; k < 6; ++k) half.at(r, k) = x.at(r, rank * 6 + k);
    }
    machine.ops().linear({&input, half.view(), sum.view(), {.accumulate = true}});
  }
  for (std::size_t i = 0; i < sum.data.size(); ++i) CHECK(sum.data[i] == Approx(whole.data[i]).margin(1e-5));
  CHECK_THROWS_AS(machine.platform.pack(source, {}, {Shard::Axis::kOutput, 0, 3}), StartupError);
}

TEST_CASE("What cannot be packed is refused at start-up") {
  test::Machine machine;
  std::vector<std::int64_t> data(4);
  const TensorView integers(data.data(), DType::kInt64, Shape{2, 2});
  CHECK_THROWS_WITH(machine.platform.pack({{integers}, {}}, {}, {}), Catch::Contains("int64"));
  const Matrix w(2, 2);
  CHECK_THROWS_WITH(machine.platform.pack({{w.view()}, {}}, {.compute_dtype = DType::kInt8}, {}),
                    Catch::Contains("int8"));
}

TEST_CASE("No rows are no work") {
  test::Machine machine;
  const Matrix w(2, 2), x(0, 2), y(0, 2);
  const PackedWeight weight = machine.platform.pack({{w.view()}, {}}, {}, {});
  machine.ops().linear({&weight, x.view(), y.view(), {}});
}

}  // namespace krait
