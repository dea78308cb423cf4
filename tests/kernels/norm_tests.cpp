#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/activation_support.h"
#include "tests/kernels/test_support.h"

namespace krait {
namespace {

using test::Matrix;

/// The values of one row, normalised in groups.
std::vector<double> normed(const std::vector<double>& x, const Matrix& weight, int groups, double eps) {
  std::vector<double> out(x.size());
  const std::size_t width = x.size() / static_cast<std::size_t>(groups);
  for (std::size_t first = 0; first < x.size(); first += width) {
    double sum = 0.0;
    for (std::size_t i = first; i < first + width; ++i) sum += x[i] * x[i];
    const double factor = 1.0 / std::sqrt(sum / static_cast<double>(width) + eps);
    for (std::size_t i = first; i < first + width; ++i) out[i] = x[i] * factor * static_cast<double>(weight.data[i]);
  }
  return out;
}

}  // namespace

TEST_CASE("add_rms_norm adds, then normalises") {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    test::Random random(seed);
    const int hidden = random.integer(1, 300);
    CAPTURE(seed, hidden);
    test::Machine machine;
    Matrix residual = random.matrix(3, hidden);
    const Matrix add = random.matrix(3, hidden), weight = random.matrix(1, hidden), before = residual;
    Matrix out(3, hidden);
    machine.ops().add_rms_norm({residual.view(), add.view(), 0.25F, weight.flat(), 1e-5F, out.view()});
    std::vector<double> expected;
    for (int t = 0; t < 3; ++t) {
      std::vector<double> row;
      for (int i = 0; i < hidden; ++i) {
        row.push_back(static_cast<double>(before.at(t, i)) + 0.25 * static_cast<double>(add.at(t, i)));
        CHECK(residual.at(t, i) == Approx(row.back()).margin(1e-6));
      }
      const auto result = normed(row, weight, 1, 1e-5);
      expected.insert(expected.end(), result.begin(), result.end());
    }
    CHECK(test::worst_error(out.data, expected) < 1e-5);

    Matrix again(3, hidden);
    const Matrix kept = residual;
    machine.ops().add_rms_norm({residual.view(), {}, 1.0F, weight.flat(), 1e-5F, again.view()});
    CHECK(test::same_bits(residual, kept));
    CHECK(test::same_bits(again, out));
  }
}

TEST_CASE("add_rms_norm without a weight is the one with a weight of ones") {
  for (const int hidden : {1, 16, 31, 200}) {
    test::Random random(static_cast<std::uint32_t>(hidden));
    test::Machine machine;
    const Matrix x = random.matrix(3, hidden), ones(1, hidden, 1.0F);
    Matrix plain(3, hidden), weighted(3, hidden);
    machine.ops().add_rms_norm({x.view(), {}, 1.0F, {}, 1e-5F, plain.view()});
    machine.ops().add_rms_norm({x.view(), {}, 1.0F, ones.flat(), 1e-5F, weighted.view()});
    CHECK(test::same_bits(plain, weighted));
  }
}

TEST_CASE("The gated norm in both orders, in groups, and the gate alone") {
  std::uint32_t seed = 1;
  for (const int groups : {1, 3, 5, 60}) {
    for (const GateOrder order : {GateOrder::kGateFirst, GateOrder::kNormFirst}) {
      for (const Activation activation : {Activation::kSilu, Activation::kSigmoid}) {
        for (const bool shared : {false, true}) {
          test::Random random(++seed);
          const int channels = groups == 60 ? 60 : groups * random.integer(1, 90);
          CAPTURE(groups, channels, static_cast<int>(order), static_cast<int>(activation), shared);
          test::Machine machine;
          const Matrix y = random.matrix(2, channels), z = random.matrix(2, channels, 4.0F);
          const Matrix weight = random.matrix(1, shared ? channels / groups : channels);
          Matrix repeated(1, channels);
          for (int i = 0; i < channels; ++i) repeated.at(0, i) = weight.at(0, i % weight.columns);
          Matrix out(2, channels), gated(2, channels);
          machine.ops().gated_rms_norm(
              {y.view(), z.view(), weight.flat(), groups, 1e-5F, order, out.view(), activation});
          machine.ops().gated_rms_norm({y.view(), z.view(), {}, groups, 1e-5F, order, gated.view(), activation});
          std::vector<double> expected, gates;
          for (int t = 0; t < 2; ++t) {
            std::vector<double> row;
            const auto act = [&](int i) { return test::exact_activation(activation, static_cast<double>(z.at(t, i))); };
            for (int i = 0; i < channels; ++i) {
              gates.push_back(static_cast<double>(y.at(t, i)) * act(i));
              row.push_back(order == GateOrder::kGateFirst ? gates.back() : static_cast<double>(y.at(t, i)));
            }
            row = normed(row, repeated, groups, 1e-5);
            if (order == GateOrder::kNormFirst) {
              for (int i = 0; i < channels; ++i) row[static_cast<std::size_t>(i)] *= act(i);
            }
            expected.insert(expected.end(), row.begin(), row.end());
          }
          CHECK(test::worst_error(out.data, expected) < 1e-5);
          CHECK(test::worst_error(gated.data, gates) < 1e-5);
          // In place.
          Matrix alias = y;
          machine.ops().gated_rms_norm(
              {alias.view(), z.view(), weight.flat(), groups, 1e-5F, order, alias.view(), activation});
          CHECK(test::same_bits(alias, out));
        }
      }
    }
  }
}

TEST_CASE("Embeddings are scaled rows; gathered rows are copies; strided views are honoured") {
  test::Machine machine;
  test::Random random(9);
  const Matrix table = random.matrix(5, 20);
  const std::vector<std::int32_t> ids{4, 0, 4};
  Matrix wide(3, 30, -1.0F);
  machine.ops().embedding({table.view(), ids, 2.0F, wide.view().slice_columns(10, 20)});
  for (int t = 0; t < 3; ++t) {
    CHECK(wide.at(t, 9) == -1.0F);
    for (int i = 0; i < 20; ++i) CHECK(wide.at(t, 10 + i) == 2.0F * table.at(ids[static_cast<std::size_t>(t)], i));
  }
  Matrix rows(3, 20);
  machine.ops().gather_rows({table.view(), ids, rows.view()});
  CHECK(test::same_bits(rows.slice(0, 1), table.slice(4, 5)));
  CHECK(test::same_bits(rows.slice(1, 2), table.slice(0, 1)));
}

}  // namespace krait
