#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "kernels/result.h"
#include "tests/kernels/test_support.h"

// Products with int8 and int4 weights, of float rows and of rows rounded to int8.
namespace krait {
namespace {

using test::Matrix;

/// Reads `values`, rows of k; not owned.
ReadQuantizedRows rows_of(const std::vector<std::int8_t>& values, int k) {
  return [&values, k](std::int64_t begin, std::int64_t count, std::int8_t* to) {
    std::copy_n(values.data() + begin * k, count * k, to);
  };
}

constexpr Quantization kForms[] = {Quantization::kInt8, Quantization::kInt4};
constexpr DType kRows[] = {DType::kFloat32, DType::kBFloat16, DType::kInt8};

Matrix run(test::Machine& machine, const PackedWeight& weight, const Matrix& x, std::int64_t columns) {
  Matrix y(x.rows, columns);
  machine.ops().linear({&weight, x.view(), y.view(), {}});
  return y;
}

/// The weights `[n, k]` that a product sees: its answers to unit vectors.
Matrix dequantized(test::Machine& machine, const WeightSource& source, PackScheme scheme, int n, int k) {
  scheme.compute_dtype = DType::kFloat32;
  const PackedWeight weight = machine.platform.pack(source, scheme, {});
  Matrix unit(k, k);
  for (int i = 0; i < k; ++i) unit.at(i, i) = 1.0F;
  const Matrix columns = run(machine, weight, unit, n);
  Matrix w(n, k);
  for (int r = 0; r < n; ++r) {
    for (int i = 0; i < k; ++i) w.at(r, i) = columns.at(i, r);
  }
  return w;
}

/// A row as the products of that compute dtype see it.
std::vector<double> seen(const Matrix& x, std::int64_t row, DType dtype) {
  double largest = 0.0;
  for (std::int64_t k = 0; k < x.columns; ++k) largest = std::max(largest, std::abs(static_cast<double>(x.at(row, k))));
  std::vector<double> values;
  for (std::int64_t k = 0; k < x.columns; ++k) {
    const auto value = static_cast<double>(x.at(row, k));
    if (dtype != DType::kInt8) {
      values.push_back(static_cast<double>(test::round_to(x.at(row, k), dtype)));
    } else {
      values.push_back(largest == 0.0 ? 0.0 : std::nearbyint(value * 127.0 / largest) * largest / 127.0);
    }
  }
  return values;
}

std::vector<double> product(const Matrix& x, const Matrix& w, const Matrix& bias, DType dtype) {
  std::vector<double> y;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    const std::vector<double> row = seen(x, r, dtype);
    for (std::int64_t c = 0; c < w.rows; ++c) {
      double sum = static_cast<double>(bias.data[static_cast<std::size_t>(c)]);
      for (std::int64_t k = 0; k < x.columns; ++k) {
        sum += row[static_cast<std::size_t>(k)] * static_cast<double>(w.at(c, k));
      }
      y.push_back(sum);
    }
  }
  return y;
}

/// Sum of squares of a - b over a group.
double squared_error(const Matrix& a, const Matrix& b, std::int64_t row, std::int64_t begin, std::int64_t end) {
  double sum = 0.0;
  for (std::int64_t k = begin; k < end; ++k) {
    const double error = static_cast<double>(a.at(row, k)) - static_cast<double>(b.at(row, k));
    sum += error * error;
  }
  return sum;
}

}  // namespace

TEST_CASE("int8 weights are within half a step, int4 weights at least as near as by the plain scale") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    test::Random random(seed);
    const int n = random.integer(1, 60), k = random.integer(1, 300);
    const int group = 32 * random.integer(1, 4);
    // Rows of very different sizes, some beyond what float16 scales could hold alone.
    Matrix w = random.matrix(n, k);
    for (int r = 0; r < n; ++r) {
      const float size = std::ldexp(1.0F, random.integer(-60, 60));
      for (int i = 0; i < k; ++i) w.at(r, i) *= size;
    }
    CAPTURE(seed, n, k, group);
    for (const Quantization form : kForms) {
      const Matrix q =
          dequantized(*test::machines().back(), {{w.view()}, {}}, {.quantization = form, .group_size = group}, n, k);
      for (int r = 0; r < n; ++r) {
        for (int begin = 0; begin < k; begin += group) {
          const int end = std::min(begin + group, k);
          double largest = 0.0;
          for (int i = begin; i < end; ++i) largest = std::max(largest, std::abs(static_cast<double>(w.at(r, i))));
          if (form == Quantization::kInt8) {
            for (int i = begin; i < end; ++i) {
              const double error = std::abs(static_cast<double>(w.at(r, i)) - static_cast<double>(q.at(r, i)));
              REQUIRE(error <= largest / 127.0 * 0.5 * 1.13 + 1e-45);
            }
            continue;
          }
          Matrix plain = w;
          for (int i = begin; i < end; ++i) {
            const double step = largest / 7.0;
            if (step > 0.0)
              plain.at(r, i) = static_cast<float>(std::nearbyint(static_cast<double>(w.at(r, i)) / step) * step);
          }
          REQUIRE(squared_error(q, w, r, begin, end) <= squared_error(plain, w, r, begin, end) * 1.01 + 1e-80);
        }
      }
    }
  }
}

TEST_CASE("Weights that are whole steps are kept exactly") {
  test::Random random(3);
  const int n = 40, k = 96;
  for (const Quantization form : kForms) {
    Matrix w(n, k);
    for (int r = 0; r < n; ++r) {
      for (int i = 0; i < k; ++i) {
        const bool int8 = form == Quantization::kInt8;
        const int whole = int8 ? random.integer(-127, 127) : random.integer(-8, 7);
        w.at(r, i) = 0.0078125F * static_cast<float>(i % 32 == 0 ? (int8 ? 127 : -8) : whole);
      }
    }
    const Matrix q =
        dequantized(*test::machines().back(), {{w.view()}, {}}, {.quantization = form, .group_size = 32}, n, k);
    CHECK(test::same_bits(q, w));
  }
}

TEST_CASE("Products with quantised weights are those of their values, for every form of rows, and add the bias") {
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    test::Random random(seed);
    const int n = random.integer(1, 150), k = random.integer(1, 400), rows = random.integer(1, 60);
    const Matrix w = random.matrix(n, k), bias = random.matrix(1, n);
    Matrix x = random.matrix(rows, k);
    for (std::int64_t i = 0; i < k; ++i) x.at(0, i) = 0.0F;
    for (const Quantization form : kForms) {
      for (const DType dtype : kRows) {
        CAPTURE(seed, n, k, rows, static_cast<int>(form), dtype_name(dtype));
        test::Machine& machine = *test::machines().back();
        const PackScheme scheme{.quantization = form, .compute_dtype = dtype};
        const PackedWeight weight = machine.platform.pack({{w.view()}, {bias.flat()}}, scheme, {});
        CHECK(weight.out_features() == n);
        CHECK(weight.in_features() == k);
        const Matrix values = dequantized(machine, {{w.view()}, {}}, scheme, n, k);
        CHECK(test::worst_error(run(machine, weight, x, n).data, product(x, values, bias, dtype)) < 2e-5);
      }
    }
  }
}

TEST_CASE("With float rows the bits are those of the same weights in float32") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
      test::Random random(seed);
      const int n = random.integer(1, 100), k = random.integer(1, 600);
      const Matrix w = random.matrix(n, k);
      for (const Quantization form : kForms) {
        for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
          CAPTURE(machine->label, seed, n, k, static_cast<int>(form), dtype_name(dtype));
          const PackScheme scheme{.quantization = form, .compute_dtype = dtype};
          const PackedWeight quantized = machine->platform.pack({{w.view()}, {}}, scheme, {});
          const Matrix values = dequantized(*machine, {{w.view()}, {}}, scheme, n, k);
          const PackedWeight plain = machine->platform.pack({{values.view()}, {}}, {.compute_dtype = dtype}, {});
          for (const int rows : {1, 2, 3, 4, 5, 12, 13, 60}) {
            const Matrix x = random.matrix(rows, k);
            REQUIRE(test::same_bits(run(*machine, quantized, x, n), run(*machine, plain, x, n)));
          }
        }
      }
    }
  }
}

TEST_CASE("A row has the same bits alone and in any batch, with quantised weights") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 2; ++seed) {
      test::Random random(seed);
      const int n = random.integer(1, 200), k = random.integer(1, 1500);
      const Matrix w = random.matrix(n, k);
      const Matrix x = random.matrix(211, k);
      for (const Quantization form : kForms) {
        for (const DType dtype : kRows) {
          CAPTURE(machine->label, seed, n, k, static_cast<int>(form), dtype_name(dtype));
          const PackedWeight weight =
              machine->platform.pack({{w.view()}, {}}, {.quantization = form, .compute_dtype = dtype}, {});
          const Matrix all = run(*machine, weight, x, n);
          for (const int row : {0, 1, 191, 192, 210}) {
            REQUIRE(test::same_bits(run(*machine, weight, x.slice(row, row + 1), n), all.slice(row, row + 1)));
          }
          for (const int count : {2, 3, 4, 5, 6, 7, 9, 12, 13, 25, 30, 40, 193}) {
            REQUIRE(test::same_bits(run(*machine, weight, x.slice(211 - count, 211), n), all.slice(211 - count, 211)));
          }
        }
      }
    }
  }
}

TEST_CASE("Quantised gate and up are those of two weights") {
  test::Machine& machine = *test::machines().back();
  test::Random random(21);
  const int n = 37, k = 200;
  const Matrix gate = random.matrix(n, k), up = random.matrix(n, k);
  const Matrix gate_bias = random.matrix(1, n), up_bias = random.matrix(1, n);
  for (const Quantization form : kForms) {
    for (const DType dtype : kRows) {
      const PackScheme scheme{.quantization = form, .compute_dtype = dtype, .gate_up = true};
      const PackScheme alone{.quantization = form, .compute_dtype = dtype};
      const PackedWeight both =
          machine.platform.pack({{gate.view(), up.view()}, {gate_bias.flat(), up_bias.flat()}}, scheme, {});
      const PackedWeight first = machine.platform.pack({{gate.view()}, {gate_bias.flat()}}, alone, {});
      const PackedWeight second = machine.platform.pack({{up.view()}, {up_bias.flat()}}, alone, {});
      for (const int rows : {1, 5, 20}) {
        const Matrix x = random.matrix(rows, k);
        Matrix y(rows, n);
        machine.ops().linear({&both, x.view(), y.view(), {.activation = Activation::kNone, .gated = true}});
        const Matrix g = run(machine, first, x, n), u = run(machine, second, x, n);
        for (std::size_t i = 0; i < y.data.size(); ++i) REQUIRE(y.data[i] == g.data[i] * u.data[i]);
      }
    }
  }
}

TEST_CASE("A NaN or an infinity reaches the outputs of its row, and of its column, and no others") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const auto& machine : test::machines()) {
    test::Random random(4);
    const int n = 40, k = 96, rows = 9;
    const Matrix w = random.matrix(n, k);
    for (const Quantization form : kForms) {
      for (const DType dtype : kRows) {
        const PackScheme scheme{.quantization = form, .compute_dtype = dtype};
        const PackedWeight weight = machine->platform.pack({{w.view()}, {}}, scheme, {});
        for (const float bad : {nan, inf, -inf}) {
          CAPTURE(machine->label, static_cast<int>(form), dtype_name(dtype), bad);
          Matrix x = random.matrix(rows, k);
          const Matrix good = run(*machine, weight, x, n);
          x.at(4, 77) = bad;
          const Matrix y = run(*machine, weight, x, n);
          for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < n; ++c) CHECK((r == 4 ? !std::isfinite(y.at(r, c)) : y.at(r, c) == good.at(r, c)));
          }
          Matrix broken = w;
          broken.at(17, 95) = bad;
          const PackedWeight bad_weight = machine->platform.pack({{broken.view()}, {}}, scheme, {});
          const Matrix z = run(*machine, bad_weight, random.matrix(rows, k), n);
          for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < n; ++c) CHECK(std::isnan(z.at(r, c)) == (c == 17));
          }
        }
      }
    }
  }
}

TEST_CASE("Very large, very small and zero rows are rounded to int8 in a defined way") {
  test::Machine& machine = *test::machines().back();
  test::Random random(5);
  const int n = 20, k = 64;
  const Matrix w = random.matrix(n, k);
  const PackedWeight weight =
      machine.platform.pack({{w.view()}, {}}, {.quantization = Quantization::kInt8, .compute_dtype = DType::kInt8}, {});
  const Matrix x = random.matrix(1, k);
  const Matrix y = run(machine, weight, x, n);
  for (const int power : {-90, -10, 10, 90}) {  // powers of two scale a row exactly
    Matrix scaled = x;
    for (float& value : scaled.data) value = std::ldexp(value, power);
    const Matrix z = run(machine, weight, scaled, n);
    for (std::size_t i = 0; i < y.data.size(); ++i) CHECK(z.data[i] == std::ldexp(y.data[i], power));
  }
  for (const float tiny : {0.0F, 1e-35F, 1e-44F}) {
    const Matrix z = run(machine, weight, Matrix(1, k, tiny), n);
    for (const float value : z.data) CHECK(value == 0.0F);
  }
}

TEST_CASE("Shards of quantised weights are whole groups") {
  test::Random random(6);
  test::Machine machine;
  const Matrix w = random.matrix(24, 256), x = random.matrix(3, 256);
  for (const Quantization form : kForms) {
    const PackScheme scheme{.quantization = form, .group_size = 64};
    const Matrix whole = run(machine, machine.platform.pack({{w.view()}, {}}, scheme, {}), x, 24);
    Matrix sum(3, 24);
    for (int rank = 0; rank < 2; ++rank) {
      const Matrix part =
          run(machine, machine.platform.pack({{w.view()}, {}}, scheme, {Shard::Axis::kOutput, rank, 2}), x, 12);
      for (int r = 0; r < 3; ++r) {
        for (int c = 0; c < 12; ++c) CHECK(part.at(r, c) == whole.at(r, rank * 12 + c));
      }
      const PackedWeight input = machine.platform.pack({{w.view()}, {}}, scheme, {Shard::Axis::kInput, rank, 2});
      Matrix half(3, 128);
      for (int r = 0; r < 3; ++r) {
        for (int k = 0; k < 128; ++k) half.at(r, k) = x.at(r, rank * 128 + k);
      }
      machine.ops().linear({&input, half.view(), sum.view(), {.accumulate = true}});
    }
    for (std::size_t i = 0; i < sum.data.size(); ++i) CHECK(sum.data[i] == Approx(whole.data[i]).margin(1e-4));
    CHECK_THROWS_WITH(
        machine.platform.pack({{w.view()}, {}}, {.quantization = form, .group_size = 96}, {Shard::Axis::kInput, 0, 2}),
        Catch::Contains("cuts the groups of 96"));
    CHECK_THROWS_WITH(machine.platform.pack({{w.view()}, {}}, {.quantization = form, .group_size = 40}, {}),
                      Catch::Contains("multiples of 32"));
  }
}

TEST_CASE("A row of a quantised table is what products see") {
  for (const auto& machine : test::machines()) {
    test::Random random(8);
    const int n = 53, k = 170;
    const Matrix w = random.matrix(n, k);
    const std::vector<std::int32_t> ids{52, 0, 16, 15, 16};
    for (const Quantization form : kForms) {
      CAPTURE(machine->label, static_cast<int>(form));
      const PackScheme scheme{.quantization = form, .compute_dtype = DType::kInt8, .group_size = 64};
      const PackedWeight weight = machine->platform.pack({{w.view()}, {}}, scheme, {});
      const Matrix values = dequantized(*machine, {{w.view()}, {}}, scheme, n, k);
      Matrix out(5, k);
      machine->ops().embedding({.table = {}, .ids = ids, .multiplier = 3.0F, .out = out.view(), .weight = &weight});
      for (std::size_t t = 0; t < ids.size(); ++t) {
        for (int i = 0; i < k; ++i) {
          REQUIRE(out.at(static_cast<std::int64_t>(t), i) == 3.0F * values.at(ids[t], i));
        }
      }
    }
  }
}

TEST_CASE("Parts that a checkpoint has quantised are packed as they are") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    test::Random random(seed);
    const bool int4 = seed % 2 == 0, zeros = int4 && seed % 4 == 0;
    const int group = 32 * random.integer(1, 3), k = random.integer(1, 200), rows = random.integer(1, 8);
    const int groups = (k + group - 1) / group;
    std::vector<std::vector<std::int8_t>> values;
    std::vector<Matrix> scales;
    std::vector<std::vector<std::uint8_t>> zero_points;
    std::vector<QuantizedPart> parts;
    Matrix w(0, k);
    values.reserve(2);
    zero_points.reserve(2);
    scales.reserve(2);
    for (int p = 0; p < 2; ++p) {
      const int n = random.integer(1, 40);
      values.emplace_back();
      for (int i = 0; i < n * k; ++i) {
        values.back().push_back(static_cast<std::int8_t>(int4 ? random.integer(0, 15) : random.integer(-128, 127)));
      }
      scales.push_back(random.matrix(n, groups, std::ldexp(1.0F, random.integer(-40, 40))));
      for (float& scale : scales.back().data) scale = test::round_to(scale, DType::kBFloat16);
      zero_points.emplace_back();
      for (int i = 0; i < n * groups; ++i)
        zero_points.back().push_back(static_cast<std::uint8_t>(random.integer(0, 16)));
      parts.push_back(
          {n, k, rows_of(values.back(), k), scales.back().data.data(), zeros ? zero_points.back().data() : nullptr});
      Matrix part(n, k);
      for (int r = 0; r < n; ++r) {
        for (int c = 0; c < k; ++c) {
          const int at = r * groups + c / group;
          const int zero = zeros ? zero_points.back()[static_cast<std::size_t>(at)] : int4 ? 8 : 0;
          part.at(r, c) = static_cast<float>(values.back()[static_cast<std::size_t>(r * k + c)] - zero) *
                          scales.back().data[static_cast<std::size_t>(at)];
        }
      }
      w.append(part);
    }
    for (const auto& machine : test::machines()) {
      CAPTURE(seed, machine->label, k, group, int4, zeros);
      const auto n = static_cast<int>(w.rows);
      PackScheme scheme{.quantization = int4 ? Quantization::kInt4 : Quantization::kInt8, .group_size = group};
      WeightSource source;
      source.quantized = parts;
      const Matrix seen_values = dequantized(*machine, source, scheme, n, k);
      for (std::size_t i = 0; i < w.data.size(); ++i) REQUIRE(seen_values.data[i] == w.data[i]);
      scheme.compute_dtype = DType::kInt8;
      const PackedWeight weight = machine->platform.pack(source, scheme, {});
      const Matrix x = random.matrix(rows, k);
      const std::vector<double> expected = product(x, w, Matrix(1, n), DType::kInt8);
      const std::vector<float> y = run(*machine, weight, x, n).data;
      for (std::size_t i = 0; i < y.size(); ++i) {
        double size = 0.0;
        for (int c = 0; c < k; ++c) {
          size = std::max(size, std::abs(static_cast<double>(w.at(static_cast<std::int64_t>(i) % n, c))));
        }
        REQUIRE(std::abs(static_cast<double>(y[i]) - expected[i]) <= 1e-5 * size * k);
      }
    }
  }
}

TEST_CASE("Quantised weights take the bytes that they say") {
  test::Machine machine;
  const Matrix w = test::Random(7).matrix(64, 512);
  const auto bytes = [&](Quantization form) {
    return machine.platform.pack({{w.view()}, {}}, {.quantization = form}, {}).bytes();
  };
  // Beside the formula only the columns' units, and padding to cache lines.
  CHECK(quantized_bytes(Quantization::kInt8, 64, 512, 128) == 64 * (512 + 8));
  CHECK(quantized_bytes(Quantization::kInt4, 64, 512, 32) == 64 * (256 + 32));
  CHECK(bytes(Quantization::kInt8) - 64 * (512 + 8) <= 4 * 128);
  CHECK(bytes(Quantization::kInt4) - 64 * (256 + 32) <= 4 * 128);
}

}  // namespace krait
