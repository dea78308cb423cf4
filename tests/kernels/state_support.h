#pragma once

#include <cmath>

#include "tests/kernels/test_support.h"

namespace krait::test {

/// Slots of states as a cache lays them out: [slot][conv | recurrent], filled with garbage that kernels must not trust.
struct StateSlots {
  StateSlots(int slots, std::int64_t conv_elements, std::int64_t recurrent_elements, DType conv_dtype,
             DType recurrent_dtype)
      : conv(conv_elements), recurrent(recurrent_elements) {
    const auto align = [](std::size_t n) { return (n + 127) / 128 * 128; };
    const std::size_t conv_bytes = align(static_cast<std::size_t>(conv_elements) * dtype_size(conv_dtype));
    const std::size_t stride =
        conv_bytes + align(static_cast<std::size_t>(recurrent_elements) * dtype_size(recurrent_dtype));
    memory.assign(stride * static_cast<std::size_t>(slots), std::byte{0x7f});
    view = StateCacheView{.conv = memory.data(),
                          .recurrent = memory.data() + conv_bytes,
                          .slot_stride = stride,
                          .conv_dtype = conv_dtype,
                          .recurrent_dtype = recurrent_dtype};
  }
  [[nodiscard]] std::vector<std::byte> slot(int index) const {
    const auto begin = memory.begin() + static_cast<std::ptrdiff_t>(view.slot_stride) * index;
    return {begin, begin + static_cast<std::ptrdiff_t>(view.slot_stride)};
  }
  [[nodiscard]] std::vector<std::byte> recurrent_of(int index) const {
    const std::vector<std::byte> bytes = slot(index);
    return {bytes.begin() + (view.recurrent - memory.data()), bytes.end()};
  }
  /// All states as numbers, slot by slot.
  void append_to(std::vector<float>& out) const {
    for (std::size_t offset = 0; offset < memory.size(); offset += view.slot_stride) {
      append(view.conv + offset, view.conv_dtype, conv, out);
      append(view.recurrent + offset, view.recurrent_dtype, recurrent, out);
    }
  }
  static void append(const std::byte* from, DType dtype, std::int64_t count, std::vector<float>& out) {
    for (std::int64_t i = 0; i < count; ++i) {
      float value = 0.0F;
      if (dtype == DType::kFloat32) {
        std::memcpy(&value, from + 4 * i, 4);
      } else {
        std::uint16_t half = 0;
        std::memcpy(&half, from + 2 * i, 2);
        value = dtype == DType::kBFloat16 ? bfloat16_to_float(half) : float16_to_float(half);
        // What a slot held before is no number in float16.
        if (std::isnan(value)) value = static_cast<float>(half);
      }
      out.push_back(value);
    }
  }

  std::int64_t conv;       ///< elements of a slot
  std::int64_t recurrent;  ///< elements of a slot
  std::vector<std::byte> memory;
  StateCacheView view;
};

/// SequenceBatch with its arrays.
struct Sequences {
  std::vector<std::int32_t> query_start_loc{0};
  std::vector<std::int32_t> read;
  std::vector<std::int32_t> write;
  std::vector<std::uint8_t> initial;

  void add(int tokens, int read_slot, int write_slot, bool has_initial) {
    query_start_loc.push_back(query_start_loc.back() + tokens);
    read.push_back(read_slot);
    write.push_back(write_slot);
    initial.push_back(has_initial ? 1 : 0);
  }
  [[nodiscard]] SequenceBatch batch() const { return {query_start_loc, read, write, initial}; }
};

struct ConvModel {
  int kernel = 4;
  int channels = 70;
  bool has_bias = true;
  bool silu = true;
  Matrix weight;
  Matrix bias;

  ConvModel(Random& random, int kernel_in, int channels_in)
      : kernel(kernel_in),
        channels(channels_in),
        weight(random.matrix(kernel_in, channels_in)),
        bias(random.matrix(1, channels_in)) {}
  Matrix run(Operations& ops, const Matrix& x, const Sequences& sequences, const StateCacheView& state) const {
    Matrix out(x.rows, channels, 77.0F);
    ops.causal_conv1d({.x = x.view(),
                       .weight = weight.view(),
                       .bias = has_bias ? bias.flat() : TensorView{},
                       .silu = silu,
                       .batch = sequences.batch(),
                       .state = state,
                       .out = out.view()});
    return out;
  }
};

struct SsmModel {
  int heads = 4;
  int head_dim = 6;
  int groups = 2;
  int state_size = 20;
  Matrix a;
  Matrix d;
  Matrix bias;
  float dt_min = 0.0F;
  float dt_max = 1e30F;

  SsmModel(Random& random, int heads_in, int head_dim_in, int groups_in, int state_in)
      : heads(heads_in),
        head_dim(head_dim_in),
        groups(groups_in),
        state_size(state_in),
        a(random.matrix(1, heads_in)),
        d(random.matrix(1, heads_in)),
        bias(random.matrix(1, heads_in)) {
    for (float& x : a.data) x = -0.1F - 3.0F * std::abs(x);
  }
  [[nodiscard]] std::int64_t state_elements() const { return std::int64_t{heads} * head_dim * state_size; }

  struct Inputs {
    Matrix x, b, c, dt;
    [[nodiscard]] Inputs slice(std::int64_t begin, std::int64_t end) const {
      return {x.slice(begin, end), b.slice(begin, end), c.slice(begin, end), dt.slice(begin, end)};
    }
    void append(const Inputs& other) {
      x.append(other.x);
      b.append(other.b);
      c.append(other.c);
      dt.append(other.dt);
    }
  };
  Inputs inputs(Random& random, int tokens) const {
    return {random.matrix(tokens, heads * head_dim), random.matrix(tokens, groups * state_size),
            random.matrix(tokens, groups * state_size), random.matrix(tokens, heads, 2.0F)};
  }
  /// One token of each of `rows`, whose arrays must outlive it.
  [[nodiscard]] SelectiveStateUpdateArgs update_args(const Inputs& in, const Sequences& rows,
                                                     const StateCacheView& state, const Matrix& y) const {
    SelectiveStateUpdateArgs args;
    args.x = in.x.view();
    args.dt = in.dt.view();
    args.b = in.b.view();
    args.c = in.c.view();
    args.a = a.data.data();
    args.d = d.data.data();
    args.dt_bias = bias.data.data();
    args.dt_min = dt_min;
    args.dt_max = dt_max;
    args.heads = heads;
    args.head_dim = head_dim;
    args.groups = groups;
    args.state_size = state_size;
    args.state_read = rows.read;
    args.state_write = rows.write;
    args.has_initial_state = rows.initial;
    args.state = state;
    args.y = y.view();
    return args;
  }
  Matrix scan(Operations& ops, const Inputs& in, const Sequences& sequences, const StateCacheView& state) const {
    return scan(ops, in, sequences.batch(), state);
  }
  Matrix scan(Operations& ops, const Inputs& in, const SequenceBatch& batch, const StateCacheView& state) const {
    Matrix y(in.x.rows, heads * head_dim, 77.0F);
    ops.ssm_scan({.x = in.x.view(),
                  .b = in.b.view(),
                  .c = in.c.view(),
                  .dt = in.dt.view(),
                  .a = a.flat(),
                  .d = d.flat(),
                  .dt_bias = bias.flat(),
                  .dt_min = dt_min,
                  .dt_max = dt_max,
                  .heads = heads,
                  .head_dim = head_dim,
                  .groups = groups,
                  .state_size = state_size,
                  .batch = batch,
                  .state = state,
                  .y = y.view()});
    return y;
  }
};

}  // namespace krait::test
