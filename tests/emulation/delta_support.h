#pragma once

#include "tests/kernels/recurrence.h"

namespace krait::test {

/// How far a state may be from another one that was summed in another order: some roundings of its type.
inline double tolerance(DType dtype) {
  if (dtype == DType::kFloat32) return 2e-5;
  return dtype == DType::kBFloat16 ? 3e-2 : 4e-3;
}

/// A slot's recurrent state as numbers.
inline std::vector<float> decode(const StateSlots& slots, int slot, std::int64_t elements) {
  std::vector<float> values;
  const std::byte* from = slots.view.recurrent + static_cast<std::size_t>(slot) * slots.view.slot_stride;
  for (std::int64_t i = 0; i < elements; ++i) {
    if (slots.view.recurrent_dtype == DType::kFloat32) {
      values.push_back(0.0F);
      std::memcpy(&values.back(), from + 4 * i, 4);
    } else {
      std::uint16_t half = 0;
      std::memcpy(&half, from + 2 * i, 2);
      const bool bfloat = slots.view.recurrent_dtype == DType::kBFloat16;
      values.push_back(bfloat ? bfloat16_to_float(half) : float16_to_float(half));
    }
  }
  return values;
}

inline std::vector<float> state_of(const Recurrence& recurrence, const StateSlots& slots, int slot) {
  return decode(slots, slot, recurrence.recurrent_elements());
}

inline std::vector<double> wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// A delta rule of one key head whose rows lie as a model's do: aligned, where the size allows it.
struct DeltaSize {
  int value_heads = 1;
  int key_dim = 128;
  int value_dim = 128;
  bool per_channel = false;
  DType dtype = DType::kFloat32;
  float beta_scale = 1.0F;

  [[nodiscard]] std::int64_t state_elements() const { return std::int64_t{value_heads} * value_dim * key_dim; }
};

struct DeltaInputs {
  Matrix q, k, v, decay, beta, a, bias;

  DeltaInputs(Random& random, const DeltaSize& size, int tokens)
      : q(random.matrix(tokens, size.key_dim)),
        k(random.matrix(tokens, size.key_dim)),
        v(random.matrix(tokens, size.value_heads * size.value_dim)),
        decay(random.matrix(tokens, size.value_heads * (size.per_channel ? size.key_dim : 1), 3.0F)),
        beta(random.matrix(tokens, size.value_heads, 2.0F)),
        a(random.matrix(1, size.value_heads)),
        bias(random.matrix(1, decay.columns)) {
    for (float& x : a.data) x = -0.1F - std::abs(x);
  }
};

/// Outputs, then the state of slot 1.
inline std::vector<float> run_delta(Operations& ops, const DeltaSize& size, const DeltaInputs& in) {
  const auto tokens = static_cast<int>(in.q.rows);
  StateSlots slots(2, 0, size.state_elements(), size.dtype, size.dtype);
  Sequences sequences;
  sequences.add(tokens, 1, 1, false);
  Matrix out(tokens, in.v.columns, 77.0F);
  ops.delta_rule({.q = in.q.view(),
                  .k = in.k.view(),
                  .v = in.v.view(),
                  .decay = in.decay.view(),
                  .decay_per_channel = size.per_channel,
                  .a = in.a.flat(),
                  .decay_bias = in.bias.flat(),
                  .beta = in.beta.view(),
                  .beta_scale = size.beta_scale,
                  .key_heads = 1,
                  .value_heads = size.value_heads,
                  .key_dim = size.key_dim,
                  .value_dim = size.value_dim,
                  .batch = sequences.batch(),
                  .state = slots.view,
                  .out = out.view()});
  const auto state = decode(slots, 1, size.state_elements());
  out.data.insert(out.data.end(), state.begin(), state.end());
  return out.data;
}

}  // namespace krait::test
