#include <catch2/catch.hpp>
#include <cmath>

#include "tests/emulation/recurrence_support.h"

namespace krait {
namespace {

using test::Matrix;
using test::Sequences;
using test::SsmModel;
using test::StateSlots;

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

/// Some roundings of a state's type: the order of sums differs, and with it where a number is rounded to.
double tolerance(DType dtype) {
  if (dtype == DType::kFloat32) return 2e-5;
  return dtype == DType::kBFloat16 ? 4e-2 : 5e-3;
}

/// Runs `fn` with the CPU's operations and, in every order of threads, with the emulated GPU's: their numbers agree.
template <typename Fn>
void check_same(double allowed, Fn fn) {
  test::Machine cpu("portable", 1);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  const std::vector<float> expected = fn(cpu.ops());
  test::in_every_order([&] {
    const std::vector<float> result = fn(queue->ops());
    queue->wait();
    CHECK(test::worst_error(result, {expected.begin(), expected.end()}) <= allowed);
  });
}

Matrix update(Operations& ops, const SsmModel& model, const SsmModel::Inputs& in, const Matrix* z,
              const Sequences& rows, const StateCacheView& state) {
  Matrix y(in.x.rows, in.x.columns, 77.0F);
  SelectiveStateUpdateArgs args = model.update_args(in, rows, state, y);
  if (z != nullptr) args.z = z->view();
  ops.selective_state_update(args);
  return y;
}

}  // namespace

TEST_CASE("emulated: scans of any size agree with the CPU") { test::check_agreement("ssm scan", 4e-2, 6); }

TEST_CASE("emulated: Mamba-1's state update agrees with the CPU") {
  test::check_agreement("mamba-1 state update", 2e-5, 6);
}

TEST_CASE("emulated: selective scans agree with the CPU") {
  for (std::uint32_t seed = 1; seed <= 9; ++seed) {
    const DType dtype = kTypes[seed % 3];
    test::check_recurrence(test::make_selective_scan, seed, dtype, {1, 17, 33}, tolerance(dtype));
  }
}

TEST_CASE("emulated: the state update agrees with the CPU for every size that has a kernel") {
  for (const int state_size : {16, 64, 96, 128, 256, 20}) {
    for (const DType dtype : kTypes) {
      test::Random random(static_cast<std::uint32_t>(state_size));
      const SsmModel model(random, 4, random.integer(1, 70), 2, state_size);
      const bool gated = random.integer(0, 1) == 1;
      const SsmModel::Inputs inputs[2] = {model.inputs(random, 4), model.inputs(random, 4)};
      const Matrix z = random.matrix(4, model.heads * model.head_dim);
      CAPTURE(state_size, model.head_dim, gated, dtype_name(dtype));
      check_same(tolerance(dtype), [&](Operations& ops) {
        StateSlots slots(8, 0, model.state_elements(), dtype, dtype);
        std::vector<float> out;
        for (int step = 0; step < 2; ++step) {
          Sequences rows;
          rows.add(1, 1, 1, step > 0);
          rows.add(1, 0, 0, true);  // padding
          rows.add(1, 2 + step, 3 + step, step > 0);
          rows.add(1, 5, 6, false);
          const Matrix y = update(ops, model, inputs[step], gated ? &z : nullptr, rows, slots.view);
          out.insert(out.end(), y.data.begin(), y.data.end());
        }
        slots.append_to(out);
        return out;
      });
    }
  }
}

TEST_CASE("emulated: drafts of three tokens agree with the CPU") {
  for (const int state_size : {16, 128, 20}) {
    for (const DType dtype : kTypes) {
      test::Random random(static_cast<std::uint32_t>(state_size));
      const SsmModel model(random, 4, random.integer(1, 70), 2, state_size);
      const auto in = model.inputs(random, 6);
      CAPTURE(state_size, model.head_dim, dtype_name(dtype));
      check_same(tolerance(dtype), [&](Operations& ops) {
        StateSlots slots(9, 0, model.state_elements(), dtype, dtype);
        const std::vector<std::int32_t> read{1, 2}, write{3, 4, 5, 6, 7, 0};
        const std::vector<std::uint8_t> initial{0, 0};
        const Sequences rows;
        Matrix y(in.x.rows, in.x.columns, 77.0F);
        SelectiveStateUpdateArgs args = model.update_args(in, rows, slots.view, y);
        args.tokens = 3;
        args.state_read = read;
        args.state_write = write;
        args.has_initial_state = initial;
        ops.selective_state_update(args);
        std::vector<float> out = y.data;
        slots.append_to(out);
        return out;
      });
    }
  }
}

TEST_CASE("emulated: the token recurrence agrees with the CPU for every size that has a kernel") {
  for (const int state_size : {16, 64, 96, 128, 256}) {
    for (const DType dtype : kTypes) {
      test::Random random(static_cast<std::uint32_t>(state_size));
      const SsmModel model(random, 2, random.integer(1, 40), 1, state_size);
      const auto in = model.inputs(random, 25);
      CAPTURE(state_size, model.head_dim, dtype_name(dtype));
      check_same(tolerance(dtype), [&](Operations& ops) {
        StateSlots slots(4, 0, model.state_elements(), dtype, dtype);
        Sequences sequences;
        sequences.add(4, 1, 1, false);
        sequences.add(0, 1, 2, true);
        sequences.add(2, 0, 0, true);  // padding
        sequences.add(19, 2, 2, false);
        std::vector<float> out = model.scan(ops, in, sequences, slots.view).data;
        Sequences next;
        next.add(1, 1, 3, true);
        next.add(3, 2, 2, true);
        const Matrix y = model.scan(ops, in.slice(0, 4), next, slots.view);
        out.insert(out.end(), y.data.begin(), y.data.end());
        slots.append_to(out);
        return out;
      });
    }
  }
}

/// Long sequences (in chunks, cut where the snapshots are) and short ones, fast sizes and others; the CPU cuts them.
TEST_CASE("emulated: a scan leaves the snapshots inside its sequences that the CPU's pieces leave") {
  for (const int state_size : {16, 64, 20}) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
      test::Random random(static_cast<std::uint32_t>(state_size));
      const SsmModel model(random, 2, 5, 1, state_size);
      constexpr int kLong = 300, kShort = 40;
      const auto in = model.inputs(random, kLong + kShort);
      const std::vector<StateSnapshot> snapshots{{0, 28, 5}, {0, 156, 6}, {0, 299, 7}, {1, 1, 8}, {1, 17, 9}};
      const std::vector<std::int32_t> computed{100, 0};
      Sequences whole;
      whole.add(kLong, 1, 2, true);
      whole.add(kShort, 3, 4, false);
      const auto fresh_slots = [&] {
        StateSlots slots(10, 0, model.state_elements(), dtype, dtype);
        for (std::byte& byte : slots.memory) byte = std::byte{0};
        return slots;
      };
      const auto in_pieces = [&](Operations& ops) {
        StateSlots slots = fresh_slots();
        Matrix y;
        for (int sequence = 0; sequence < 2; ++sequence) {
          const int first = sequence == 0 ? 0 : kLong, count = sequence == 0 ? kLong : kShort;
          int begin = 0, slot = whole.read[static_cast<std::size_t>(sequence)];
          const auto run = [&](int end, int to) {
            Sequences piece;
            piece.add(end - begin, slot, to, begin > 0 || sequence == 0);
            y.append(model.scan(ops, in.slice(first + begin, first + end), piece, slots.view));
            begin = end;
            slot = to;
          };
          for (const StateSnapshot& snapshot : snapshots) {
            if (snapshot.sequence == sequence) run(snapshot.tokens, snapshot.slot);
          }
          run(count, whole.write[static_cast<std::size_t>(sequence)]);
        }
        slots.append_to(y.data);
        return y.data;
      };
      const auto on_the_way = [&](Operations& ops) {
        StateSlots slots = fresh_slots();
        SequenceBatch batch = whole.batch();
        batch.num_computed_tokens = computed;
        batch.snapshots = snapshots;
        std::vector<float> out = model.scan(ops, in, batch, slots.view).data;
        slots.append_to(out);
        return out;
      };
      CAPTURE(state_size, dtype_name(dtype));
      check_same(dtype == DType::kFloat32 ? 1e-4 : tolerance(dtype),
                 [&](Operations& ops) { return ops.leaves_snapshots() ? on_the_way(ops) : in_pieces(ops); });
    }
  }
}

/// Numbers whose every product and sum is exact, so that both platforms round the same ones: what is stored must then
/// be the same, bit for bit.
TEST_CASE("emulated: stochastic rounding draws the CPU's bits") {
  for (const int state_size : {16, 64, 96, 128, 256, 20}) {
    test::Random random(static_cast<std::uint32_t>(state_size));
    SsmModel model(random, 4, 11, 2, state_size);
    for (float& a : model.a.data) a = 0.0F;
    model.dt_min = model.dt_max = 1.0F;
    SsmModel::Inputs in = model.inputs(random, 30);
    for (float& x : in.x.data) x = static_cast<float>(std::lround(x * 64.0F)) / 64.0F;
    for (float& b : in.b.data) b = static_cast<float>(std::lround(b * 256.0F)) / 256.0F;
    const auto states = [&](Operations& ops) {
      StateSlots slots(6, 0, model.state_elements(), DType::kFloat16, DType::kFloat16);
      slots.view.rounding = {.philox_rounds = 10, .seed = 99, .layer = 2};
      Sequences sequences;
      sequences.add(20, 1, 1, false);
      sequences.add(9, 2, 3, false);
      const std::vector<std::int32_t> before{0, 500};
      SequenceBatch batch = sequences.batch();
      batch.num_computed_tokens = before;
      model.scan(ops, in, batch, slots.view);
      Sequences rows;
      rows.add(1, 1, 4, true);
      rows.add(1, 3, 3, true);
      const std::vector<std::int32_t> positions{20, 509};
      Matrix y(2, in.x.columns);
      const SsmModel::Inputs last = in.slice(28, 30);
      SelectiveStateUpdateArgs args = model.update_args(last, rows, slots.view, y);
      args.positions = positions;
      ops.selective_state_update(args);
      std::vector<float> result;
      slots.append_to(result);
      return result;
    };
    CAPTURE(state_size);
    check_same(0.0, states);
  }
}

/// Mamba-1's fast size; its channels' count is no multiple of a block's rows.
TEST_CASE("emulated: Mamba-1 of 16 states agrees with the CPU") {
  for (const DType dtype : kTypes) {
    test::Random random(5);
    const int channels = 150, groups = 2, n = 16, tokens = 21;
    Matrix a = random.matrix(channels, n);
    for (float& x : a.data) x = -0.1F - 3.0F * std::abs(x);
    const Matrix x = random.matrix(tokens, channels), dt = random.matrix(tokens, channels, 2.0F),
                 b = random.matrix(tokens, groups * n), c = random.matrix(tokens, groups * n),
                 d = random.matrix(1, channels), z = random.matrix(tokens, channels);
    CAPTURE(dtype_name(dtype));
    check_same(tolerance(dtype), [&](Operations& ops) {
      StateSlots slots(4, 0, channels * n, dtype, dtype);
      Matrix y(tokens, channels, 77.0F);
      Sequences sequences;
      sequences.add(18, 1, 1, false);
      sequences.add(3, 1, 2, false);
      ops.selective_scan({.x = x.view(),
                          .dt = dt.view(),
                          .b = b.view(),
                          .c = c.view(),
                          .a = a.view(),
                          .d = d.flat(),
                          .channels = channels,
                          .groups = groups,
                          .state_size = n,
                          .batch = sequences.batch(),
                          .state = slots.view,
                          .y = y.view()});
      std::vector<float> out = y.data;
      const std::vector<std::int32_t> read{1, 2}, write{3, 2};
      SelectiveStateUpdateArgs args{.x = x.view(),
                                    .dt = dt.view(),
                                    .dt_per_row = true,
                                    .b = b.view(),
                                    .c = c.view(),
                                    .z = z.view(),
                                    .a = a.data.data(),
                                    .a_stride_head = channels / groups * n,
                                    .a_stride_row = n,
                                    .a_stride_state = 1,
                                    .d = d.data.data(),
                                    .d_stride_head = channels / groups,
                                    .d_stride_row = 1,
                                    .heads = groups,
                                    .head_dim = channels / groups,
                                    .groups = groups,
                                    .state_size = n,
                                    .state_read = read,
                                    .state_write = write,
                                    .state = slots.view,
                                    .y = y.view()};
      ops.selective_state_update(args);
      out.insert(out.end(), y.data.begin(), y.data.begin() + 2 * channels);
      slots.append_to(out);
      return out;
    });
  }
}

// A tail of each kind, several sequences, initial states. Split operands leave 2^-16 of each product.
TEST_CASE("emulated: the chunked scan agrees with the CPU") {
  struct Sizes {
    int heads, head_dim, groups, state_size;
  };
  for (const Sizes& shape : {Sizes{4, 64, 2, 128}, Sizes{2, 20, 1, 37}, Sizes{2, 80, 1, 96}, Sizes{1, 130, 1, 16}}) {
    test::Random random(static_cast<std::uint32_t>(shape.head_dim));
    const SsmModel model(random, shape.heads, shape.head_dim, shape.groups, shape.state_size);
    const auto in = model.inputs(random, 460);
    CAPTURE(shape.heads, shape.head_dim, shape.state_size);
    check_same(2e-4, [&](Operations& ops) {
      StateSlots slots(6, 0, model.state_elements(), DType::kFloat32, DType::kFloat32);
      Sequences sequences;
      sequences.add(3, 1, 1, false);
      sequences.add(0, 1, 2, true);
      sequences.add(140, 0, 0, true);  // padding
      sequences.add(287, 2, 2, false);
      std::vector<float> out = model.scan(ops, in.slice(0, 430), sequences, slots.view).data;
      Sequences next;
      next.add(30, 1, 1, true);
      next.add(260, 2, 3, true);
      next.add(129, 4, 4, false);
      const std::vector<std::int32_t> computed{3, 287, 0};
      SequenceBatch batch = next.batch();
      batch.num_computed_tokens = computed;
      const Matrix y = model.scan(ops, in.slice(0, 419), batch, slots.view);
      out.insert(out.end(), y.data.begin(), y.data.end());
      slots.append_to(out);
      return out;
    });
  }
}

TEST_CASE("emulated: a prompt that is cut where chunks end has the bits of the whole") {
  test::Random random(4);
  const SsmModel model(random, 2, 24, 1, 64);
  const auto in = model.inputs(random, 700);
  const auto gpu = test::make_emulated_platform();
  const auto queue = gpu->create_queue();
  const auto run = [&](const std::vector<int>& cuts) {
    StateSlots slots(2, 0, model.state_elements(), DType::kFloat32, DType::kFloat32);
    std::vector<float> out;
    int begin = 0;
    for (const int end : cuts) {
      Sequences piece;
      piece.add(end - begin, 1, 1, begin > 0);
      const std::vector<std::int32_t> computed{begin};
      SequenceBatch batch = piece.batch();
      batch.num_computed_tokens = computed;
      const Matrix y = model.scan(queue->ops(), in.slice(begin, end), batch, slots.view);
      out.insert(out.end(), y.data.begin(), y.data.end());
      begin = end;
    }
    slots.append_to(out);
    return out;
  };
  const std::vector<float> whole = run({700});
  CHECK(test::same_bits(run({256, 512, 700}), whole));
  CHECK(test::same_bits(run({384, 700}), whole));
}

}  // namespace krait
