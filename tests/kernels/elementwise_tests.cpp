#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/kernels/activation_support.h"
#include "tests/kernels/test_support.h"

namespace krait {
namespace {

using test::exact_activation;
using test::Matrix;

double wide(float x) { return static_cast<double>(x); }

/// A matrix inside a wider one, so that its rows lie apart.
struct Strided {
  static constexpr int kMargin = 3;
  Matrix memory;
  std::int64_t columns;
  Strided(const Matrix& m) : memory(m.rows, m.columns + 2 * kMargin, 77.0F), columns(m.columns) {
    for (std::int64_t r = 0; r < m.rows; ++r) {
      for (std::int64_t c = 0; c < m.columns; ++c) memory.at(r, c + kMargin) = m.at(r, c);
    }
  }
  [[nodiscard]] TensorView view() const { return memory.view().slice_columns(kMargin, columns); }
  [[nodiscard]] Matrix matrix() const {
    Matrix m(memory.rows, columns);
    for (std::int64_t r = 0; r < m.rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) m.at(r, c) = memory.at(r, c + kMargin);
    }
    return m;
  }
  [[nodiscard]] bool margins_kept() const {
    for (std::int64_t r = 0; r < memory.rows; ++r) {
      for (std::int64_t c = 0; c < kMargin; ++c) {
        if (memory.at(r, c) != 77.0F || memory.at(r, memory.columns - 1 - c) != 77.0F) return false;
      }
    }
    return true;
  }
};

}  // namespace

TEST_CASE("gate multiplies by the activation of the columns' gate") {
  test::Machine& machine = *test::machines().back();
  std::uint32_t seed = 1;
  for (const Activation activation : test::activations()) {
    for (const int width : {1, 5, 16, 40}) {
      for (const bool accumulate : {false, true}) {
        test::Random random(++seed);
        const int rows = random.integer(1, 6);
        const int columns = width * random.integer(1, width == 1 ? 5000 : 60);
        CAPTURE(static_cast<int>(activation), width, rows, columns, accumulate);
        const Matrix x = random.matrix(rows, columns), gates = random.matrix(rows, columns / width, 6.0F);
        const Matrix before = random.matrix(rows, columns);
        const Strided out(before), strided_x(x), strided_gates(gates);
        const GateArgs args{.x = strided_x.view(),
                            .gate = strided_gates.view(),
                            .gate_width = width,
                            .activation = activation,
                            .scale = 0.5F,
                            .accumulate = accumulate,
                            .out = out.view()};
        machine.ops().gate(args);
        std::vector<double> expected;
        for (int r = 0; r < rows; ++r) {
          for (int c = 0; c < columns; ++c) {
            const double y = 0.5 * wide(x.at(r, c)) * exact_activation(activation, wide(gates.at(r, c / width)));
            expected.push_back(accumulate ? y + wide(before.at(r, c)) : y);
          }
        }
        CHECK(test::worst_error(out.matrix().data, expected) < 1e-6);
        CHECK(out.margins_kept());
        if (accumulate) continue;
        Matrix in_place = x;
        GateArgs same = args;
        same.x = same.out = in_place.view();
        machine.ops().gate(same);
        CHECK(test::same_bits(in_place, out.matrix()));
        // A row alone.
        Matrix last = x.slice(rows - 1, rows);
        same.x = same.out = last.view();
        same.gate = strided_gates.view().slice_rows(rows - 1, 1);
        machine.ops().gate(same);
        CHECK(test::same_bits(last, in_place.slice(rows - 1, rows)));
      }
    }
  }
}

TEST_CASE("scaled_add is the sum of one or two scaled terms") {
  test::Machine& machine = *test::machines().back();
  for (std::uint32_t seed = 1; seed <= 32; ++seed) {
    test::Random random(seed);
    const int rows = random.integer(1, 9), columns = seed % 8 == 0 ? 5001 : random.integer(1, 300);
    const bool two = seed % 2 == 1, weights = seed / 2 % 2 == 1, biases = seed / 4 % 2 == 1;
    CAPTURE(seed, rows, columns);
    const Matrix a = random.matrix(rows, columns), b = random.matrix(rows, columns);
    const Matrix wa = random.matrix(1, columns), wb = random.matrix(1, columns);
    const Matrix ba = random.matrix(1, columns), bb = random.matrix(1, columns);
    const Strided first(a), second(b), out(random.matrix(rows, columns));
    ScaledAddArgs args{.first = {.x = first.view(), .scale = 0.3F}, .second = {}, .out = out.view()};
    if (two) args.second = {.x = second.view(), .scale = -2.0F};
    if (weights) {
      args.first.weight = wa.flat();
      args.second.weight = wb.flat();
    }
    if (biases) {
      args.first.bias = ba.flat();
      args.second.bias = bb.flat();
    }
    machine.ops().scaled_add(args);
    std::vector<double> expected;
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        const auto term = [&](const Matrix& x, const Matrix& w, const Matrix& bias, double scale) {
          return scale * (weights ? wide(w.at(0, c)) : 1.0) * (wide(x.at(r, c)) + (biases ? wide(bias.at(0, c)) : 0.0));
        };
        expected.push_back(term(a, wa, ba, wide(0.3F)) + (two ? term(b, wb, bb, -2.0) : 0.0));
      }
    }
    CHECK(test::worst_error(out.matrix().data, expected) < 1e-6);
    CHECK(out.margins_kept());
    ScaledAddArgs in_place = args;
    in_place.out = first.view();
    machine.ops().scaled_add(in_place);
    CHECK(test::same_bits(first.matrix(), out.matrix()));
    if (!two) continue;
    const Strided again(a);
    in_place.first.x = again.view();
    in_place.out = second.view();
    machine.ops().scaled_add(in_place);
    CHECK(test::same_bits(second.matrix(), out.matrix()));
  }
}

TEST_CASE("activate scales before and after; a soft cap is tanh") {
  test::Machine& machine = *test::machines().back();
  std::uint32_t seed = 50;
  for (const Activation activation : test::activations()) {
    for (const int columns : {1, 15, 16, 300, 9000}) {
      test::Random random(++seed);
      const Matrix x = random.matrix(3, columns, 9.0F);
      const Strided from(x), out(Matrix(3, columns));
      CAPTURE(static_cast<int>(activation), columns);
      ActivateArgs args{
          .x = from.view(), .activation = activation, .input_scale = 0.7F, .output_scale = 3.0F, .out = out.view()};
      machine.ops().activate(args);
      std::vector<double> expected;
      for (const float value : x.data) {
        expected.push_back(3.0 * exact_activation(activation, wide(0.7F) * wide(value)));
      }
      CHECK(test::worst_error(out.matrix().data, expected) < 1e-6);
      CHECK(out.margins_kept());
      args.out = args.x;
      machine.ops().activate(args);
      CHECK(test::same_bits(from.matrix(), out.matrix()));
    }
  }
}

TEST_CASE("A NaN passes through every element-wise operation, and only where it is") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& machine : test::machines()) {
    for (const Activation activation : test::activations()) {
      CAPTURE(machine->label, static_cast<int>(activation));
      Matrix x(1, 37, 0.5F), ones(1, 37, 1.0F), out(1, 37);
      x.at(0, 3) = x.at(0, 35) = nan;
      const auto only_there = [&] {
        bool right = true;
        for (int c = 0; c < 37; ++c) right = right && std::isnan(out.at(0, c)) == (c == 3 || c == 35);
        return right;
      };
      machine->ops().activate({.x = x.view(), .activation = activation, .out = out.view()});
      CHECK(only_there());
      machine->ops().gate({.x = x.view(), .gate = ones.view(), .activation = activation, .out = out.view()});
      CHECK(only_there());
      machine->ops().gate({.x = ones.view(), .gate = x.view(), .activation = activation, .out = out.view()});
      CHECK(only_there());
      machine->ops().scaled_add({.first = {.x = ones.view()}, .second = {.x = x.view()}, .out = out.view()});
      CHECK(only_there());
    }
  }
}

TEST_CASE("No rows are no element-wise work") {
  test::Machine machine;
  const Matrix none(0, 5);
  machine.ops().gate({.x = none.view(), .gate = none.view(), .out = none.view()});
  machine.ops().scaled_add({.first = {.x = none.view()}, .second = {}, .out = none.view()});
  machine.ops().activate({.x = none.view(), .out = none.view()});
}

}  // namespace krait
