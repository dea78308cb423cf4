#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/state_support.h"

namespace krait {
namespace {

using test::Matrix;
using test::Sequences;
using test::SsmModel;
using test::StateSlots;

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

StateSlots slots_for(const SsmModel& model, DType dtype) { return {6, 0, model.state_elements(), dtype, dtype}; }

double softplus(double x) { return x > 30.0 ? x : std::log1p(std::exp(x)); }

/// The recurrence in double, from zeros.
std::vector<double> reference(const SsmModel& model, const SsmModel::Inputs& in) {
  std::vector<double> state(static_cast<std::size_t>(model.state_elements()));
  std::vector<double> y;
  for (int t = 0; t < in.x.rows; ++t) {
    for (int h = 0; h < model.heads; ++h) {
      const auto i = static_cast<std::size_t>(h);
      double dt = softplus(static_cast<double>(in.dt.at(t, h)) + static_cast<double>(model.bias.data[i]));
      dt = std::min(std::max(dt, static_cast<double>(model.dt_min)), static_cast<double>(model.dt_max));
      const int g = h / (model.heads / model.groups);
      for (int p = 0; p < model.head_dim; ++p) {
        const double x = static_cast<double>(in.x.at(t, h * model.head_dim + p));
        double sum = static_cast<double>(model.d.data[i]) * x;
        for (int n = 0; n < model.state_size; ++n) {
          double& s = state[static_cast<std::size_t>((h * model.head_dim + p) * model.state_size + n)];
          s = std::exp(dt * static_cast<double>(model.a.data[i])) * s +
              dt * x * static_cast<double>(in.b.at(t, g * model.state_size + n));
          sum += s * static_cast<double>(in.c.at(t, g * model.state_size + n));
        }
        y.push_back(sum);
      }
    }
  }
  return y;
}

Matrix update(Operations& ops, const SsmModel& model, const SsmModel::Inputs& in, const Sequences& rows,
              const StateCacheView& state) {
  Matrix y(in.x.rows, in.x.columns, 77.0F);
  ops.selective_state_update(model.update_args(in, rows, state, y));
  return y;
}

}  // namespace

TEST_CASE("The scan is the recurrence") {
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    test::Random random(seed);
    const int groups = random.integer(1, 3);
    SsmModel model(random, groups * random.integer(1, 3), random.integer(1, 20), groups, random.integer(1, 140));
    if (seed % 2 == 0) {
      model.dt_min = 0.3F;
      model.dt_max = 0.9F;
    }
    const auto in = model.inputs(random, random.integer(1, 50));
    CAPTURE(seed, model.heads, model.head_dim, model.state_size, in.x.rows);
    StateSlots slots = slots_for(model, DType::kFloat32);
    Sequences sequences;
    sequences.add(static_cast<int>(in.x.rows), 1, 2, false);
    test::Machine machine;
    CHECK(test::worst_error(model.scan(machine.ops(), in, sequences, slots.view).data, reference(model, in)) < 2e-5);
  }
}

TEST_CASE("An infinite upper limit of dt is none") {
  test::Random random(2);
  SsmModel model(random, 2, 3, 1, 8);
  const auto in = model.inputs(random, 5);
  test::Machine machine;
  Sequences sequences;
  sequences.add(5, 1, 1, false);
  StateSlots a = slots_for(model, DType::kFloat32), b = slots_for(model, DType::kFloat32);
  const Matrix large = model.scan(machine.ops(), in, sequences, a.view);
  model.dt_max = std::numeric_limits<float>::infinity();
  CHECK(test::same_bits(model.scan(machine.ops(), in, sequences, b.view), large));
}

TEST_CASE("A sequence cut anywhere gives the scan of the whole, and the same state") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 9; ++seed) {
      test::Random random(seed);
      const SsmModel model(random, 4, random.integer(1, 9), 2, random.integer(1, 70));
      const DType dtype = kTypes[seed % 3];
      const int tokens = random.integer(2, 60);
      const auto in = model.inputs(random, tokens);
      CAPTURE(machine->label, seed, tokens, model.state_size, dtype_name(dtype));
      StateSlots whole_slots = slots_for(model, dtype);
      Sequences whole;
      whole.add(tokens, 2, 2, false);
      const Matrix expected = model.scan(machine->ops(), in, whole, whole_slots.view);

      StateSlots slots = slots_for(model, dtype);
      Matrix pieces;
      int slot = 1;
      for (int begin = 0; begin < tokens;) {
        const int end = std::min(tokens, begin + random.integer(1, 20));
        const int next = random.integer(0, 1) == 1 ? slot : slot % 5 + 1;
        Sequences part;
        part.add(end - begin, slot, next, begin > 0);
        // A decode step by either of its two operations.
        const bool single = end - begin == 1 && random.integer(0, 1) == 1;
        pieces.append(single ? update(machine->ops(), model, in.slice(begin, end), part, slots.view)
                             : model.scan(machine->ops(), in.slice(begin, end), part, slots.view));
        begin = end;
        slot = next;
      }
      CHECK(test::same_bits(pieces, expected));
      CHECK(slots.slot(slot) == whole_slots.slot(2));
    }
  }
}

TEST_CASE("selective_state_update has the bits of a scan of one token") {
  for (const DType dtype : kTypes) {
    test::Random random(8);
    const SsmModel model(random, 6, 40, 3, 33);
    test::Machine& machine = *test::machines().back();
    StateSlots a = slots_for(model, dtype), b = slots_for(model, dtype);
    for (int step = 0; step < 4; ++step) {
      const auto in = model.inputs(random, 3);
      Sequences rows;
      for (int i = 0; i < 3; ++i) rows.add(1, i + 1, i + 1, step > 0);
      rows.write[1] = step == 2 ? 0 : 2;
      CHECK(
          test::same_bits(update(machine.ops(), model, in, rows, a.view), model.scan(machine.ops(), in, rows, b.view)));
      CHECK(a.memory == b.memory);
    }
  }
}

TEST_CASE("A draft's tokens have the bits of as many single ones, and each leaves its state in its slot") {
  for (const auto& machine : test::machines()) {
    for (const DType dtype : kTypes) {
      test::Random random(17);
      const SsmModel model(random, 6, 40, 3, 33);
      constexpr int kTokens = 3;
      const auto in = model.inputs(random, 2 * kTokens);
      StateSlots drafts(12, 0, model.state_elements(), dtype, dtype);
      StateSlots singles(12, 0, model.state_elements(), dtype, dtype);
      if (dtype == DType::kFloat16) {
        drafts.view.rounding = singles.view.rounding = {.philox_rounds = 10, .seed = 4, .layer = 1};
      }
      // The second sequence starts here and has two tokens: the third is padding.
      const std::vector<std::int32_t> read{1, 2}, write{3, 4, 5, 6, 7, 0}, positions{8, 0};
      const std::vector<std::uint8_t> initial{1, 0};
      for (StateSlots* slots : {&drafts, &singles}) {
        Sequences before;
        before.add(1, 1, 1, false);
        update(machine->ops(), model, in.slice(0, 1), before, slots->view);
      }
      Sequences rows;
      Matrix y(in.x.rows, in.x.columns, 77.0F);
      SelectiveStateUpdateArgs args = model.update_args(in, rows, drafts.view, y);
      args.tokens = kTokens;
      args.state_read = read;
      args.state_write = write;
      args.has_initial_state = initial;
      args.positions = positions;
      machine->ops().selective_state_update(args);
      Matrix expected;
      for (int t = 0; t < 2 * kTokens; ++t) {
        const auto sequence = static_cast<std::size_t>(t / kTokens);
        const bool first = t % kTokens == 0;
        const std::vector<std::int32_t> one_position{positions[sequence] + t % kTokens};
        Sequences one;
        one.add(1, first ? read[sequence] : write[static_cast<std::size_t>(t) - 1], write[static_cast<std::size_t>(t)],
                !first || initial[sequence] != 0);
        const auto token = in.slice(t, t + 1);
        Matrix row(1, in.x.columns, 77.0F);
        SelectiveStateUpdateArgs single = model.update_args(token, one, singles.view, row);
        single.positions = one_position;
        machine->ops().selective_state_update(single);
        expected.append(row);
      }
      CAPTURE(machine->label, dtype_name(dtype));
      CHECK(test::same_bits(y, expected));
      CHECK(drafts.memory == singles.memory);
    }
  }
}

TEST_CASE("An empty sequence and the null slot change nothing") {
  test::Random random(4);
  const SsmModel model(random, 2, 3, 1, 8);
  test::Machine machine;
  StateSlots slots = slots_for(model, DType::kFloat32);
  const auto before = slots.memory;
  Sequences sequences;
  sequences.add(0, 1, 2, true);
  sequences.add(2, 1, 0, false);
  const Matrix y = model.scan(machine.ops(), model.inputs(random, 2), sequences, slots.view);
  CHECK(slots.memory == before);
  CHECK(y.at(0, 0) == 77.0F);
}

TEST_CASE("Mamba-1's shape: A for each element, dt for each row, gate") {
  test::Random random(12);
  const int width = 50, n = 17;
  const Matrix a = random.matrix(width, n, 2.0F), x = random.matrix(2, width), dt = random.matrix(2, width);
  const Matrix b = random.matrix(2, n), c = random.matrix(2, n), z = random.matrix(2, width),
               d = random.matrix(1, width);
  Matrix y(2, width);
  StateSlots slots(3, 0, width * n, DType::kFloat32, DType::kFloat32);
  const std::vector<std::int32_t> index{1, 1};
  test::Machine machine;
  std::vector<double> state(static_cast<std::size_t>(width * n));
  for (int t = 0; t < 2; ++t) {
    const std::vector<std::int32_t> slot{1};
    const std::vector<std::uint8_t> initial{static_cast<std::uint8_t>(t)};
    SelectiveStateUpdateArgs args;
    args.x = x.view().slice_rows(t, 1);
    args.dt = dt.view().slice_rows(t, 1);
    args.dt_per_row = true;
    args.b = b.view().slice_rows(t, 1);
    args.c = c.view().slice_rows(t, 1);
    args.z = z.view().slice_rows(t, 1);
    args.a = a.data.data();
    args.a_stride_head = 0;
    args.a_stride_row = n;
    args.a_stride_state = 1;
    args.d = d.data.data();
    args.d_stride_head = 0;
    args.d_stride_row = 1;
    args.dt_max = 1e30F;
    args.heads = 1;
    args.head_dim = width;
    args.state_size = n;
    args.state_read = slot;
    args.state_write = slot;
    args.has_initial_state = initial;
    args.state = slots.view;
    args.y = y.view().slice_rows(t, 1);
    machine.ops().selective_state_update(args);
    for (int p = 0; p < width; ++p) {
      const double step = softplus(static_cast<double>(dt.at(t, p)));
      double sum = static_cast<double>(d.at(0, p)) * static_cast<double>(x.at(t, p));
      for (int i = 0; i < n; ++i) {
        double& s = state[static_cast<std::size_t>(p * n + i)];
        s = std::exp(step * static_cast<double>(a.at(p, i))) * s +
            step * static_cast<double>(b.at(t, i)) * static_cast<double>(x.at(t, p));
        sum += s * static_cast<double>(c.at(t, i));
      }
      const double gate = static_cast<double>(z.at(t, p));
      CHECK(static_cast<double>(y.at(t, p)) == Approx(sum * gate / (1.0 + std::exp(-gate))).margin(1e-4).epsilon(1e-4));
    }
  }
}

TEST_CASE("selective_state_update in Mamba-1's shape has the bits of the selective scan") {
  for (const auto& machine : test::machines()) {
    for (std::uint32_t seed = 1; seed <= 12; ++seed) {
      test::Random random(seed);
      const int groups = random.integer(1, 3), channels = groups * random.integer(1, 50);
      const int n = random.integer(1, 40), tokens = 5;
      // The layer's heads are the groups; a head a channel says the same.
      const int heads = seed % 2 == 0 ? groups : channels;
      const int head_dim = channels / heads;
      const DType dtype = kTypes[seed % 3];
      CAPTURE(machine->label, seed, groups, channels, heads, n, dtype_name(dtype));
      Matrix a = random.matrix(channels, n, 2.0F);
      for (float& value : a.data) value = -std::abs(value);
      const Matrix x = random.matrix(tokens, channels), dt = random.matrix(tokens, channels, 2.0F);
      const Matrix b = random.matrix(tokens, groups * n), c = random.matrix(tokens, groups * n);
      const Matrix d = random.matrix(1, channels), bias = random.matrix(1, channels);
      StateSlots scanned(3, 0, channels * n, dtype, dtype), updated(3, 0, channels * n, dtype, dtype);
      Matrix expected(tokens, channels), y(tokens, channels);
      Sequences sequences;
      sequences.add(tokens, 1, 2, false);
      machine->ops().selective_scan({.x = x.view(),
                                     .dt = dt.view(),
                                     .b = b.view(),
                                     .c = c.view(),
                                     .a = a.view(),
                                     .d = d.flat(),
                                     .dt_bias = bias.flat(),
                                     .channels = channels,
                                     .groups = groups,
                                     .state_size = n,
                                     .batch = sequences.batch(),
                                     .state = scanned.view,
                                     .y = expected.view()});
      for (int t = 0; t < tokens; ++t) {
        Sequences row;
        row.add(1, t == 0 ? 1 : 2, 2, t > 0);
        SelectiveStateUpdateArgs args;
        args.x = x.view().slice_rows(t, 1);
        args.dt = dt.view().slice_rows(t, 1);
        args.dt_per_row = true;
        args.b = b.view().slice_rows(t, 1);
        args.c = c.view().slice_rows(t, 1);
        args.a = a.data.data();
        args.a_stride_head = std::int64_t{head_dim} * n;
        args.a_stride_row = n;
        args.a_stride_state = 1;
        args.d = d.data.data();
        args.d_stride_head = head_dim;
        args.d_stride_row = 1;
        args.dt_bias = bias.data.data();
        args.heads = heads;
        args.head_dim = head_dim;
        args.groups = groups;
        args.state_size = n;
        args.state_read = row.read;
        args.state_write = row.write;
        args.has_initial_state = row.initial;
        args.state = updated.view;
        args.y = y.view().slice_rows(t, 1);
        machine->ops().selective_state_update(args);
      }
      CHECK(test::same_bits(y, expected));
      CHECK((updated.slot(2) == scanned.slot(2)));
    }
  }
}

}  // namespace krait
