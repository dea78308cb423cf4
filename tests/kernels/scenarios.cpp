#include "tests/kernels/scenarios.h"

#include "tests/kernels/activation_support.h"
#include "tests/kernels/recurrence.h"

namespace krait::test {
namespace {

void append(std::vector<float>& out, const Matrix& m) { out.insert(out.end(), m.data.begin(), m.data.end()); }

PackedWeight random_weight(const Bench& bench, Random& random, int n, int k, DType dtype, PackScheme scheme = {}) {
  const auto parts = scheme.gate_up ? 2 : 1;
  std::vector<std::vector<std::byte>> data;
  WeightSource source;
  for (int i = 0; i < parts; ++i) {
    data.push_back(encode(random.matrix(n, k).data, dtype));
    source.parts.emplace_back(data.back().data(), dtype, Shape{n, k});
  }
  return bench.pack(source, scheme);
}

std::vector<float> linear(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const int rows : {1, 2, 3, 5, 6, 7, 13, 25, 40, 200}) {
    for (const DType dtype : {DType::kBFloat16, DType::kFloat32}) {
      const int n = random.integer(1, 150);
      const int k = rows == 200 ? 530 : random.integer(1, 300);
      const bool gate = random.integer(0, 1) == 1;
      const PackedWeight weight = random_weight(bench, random, n, k, dtype, {.gate_up = gate});
      const Matrix x = random.matrix(rows, k);
      Matrix y = random.matrix(rows, n);
      bench.ops.linear({&weight,
                        x.view(),
                        y.view(),
                        {.activation = activations()[static_cast<std::size_t>(random.integer(0, 6))],
                         .gated = gate,
                         .gate_scale = 1.3F,
                         .scale = 0.7F,
                         .accumulate = random.integer(0, 1) == 1}});
      append(out, y);
    }
  }
  return out;
}

std::vector<float> quantized_linear(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const int rows : {1, 2, 3, 4, 5, 7, 13, 40, 200}) {
    for (const Quantization form : {Quantization::kInt8, Quantization::kInt4}) {
      for (const DType compute : {DType::kFloat32, DType::kBFloat16, DType::kInt8}) {
        const int n = random.integer(1, 150);
        const int k = rows == 200 ? 1100 : random.integer(1, 300);
        const bool gate = random.integer(0, 1) == 1;
        const PackScheme scheme{
            .quantization = form, .compute_dtype = compute, .group_size = 32 * random.integer(1, 5), .gate_up = gate};
        const PackedWeight weight = random_weight(bench, random, n, k, DType::kBFloat16, scheme);
        const Matrix x = random.matrix(rows, k);
        Matrix y = random.matrix(rows, n);
        bench.ops.linear({&weight, x.view(), y.view(), {.gated = gate, .accumulate = true}});
        append(out, y);
      }
    }
  }
  return out;
}

std::vector<float> rows_and_norms(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const int hidden : {1, 16, 40, 100, 513}) {
    const std::vector<std::int32_t> ids{3, 0, 6, 6};
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      std::vector<std::byte> table = encode(random.matrix(7, hidden).data, dtype);
      Matrix x(4, hidden);
      bench.ops.embedding({TensorView(table.data(), dtype, Shape{7, hidden}), ids, 3.3F, x.view()});
      append(out, x);
    }
    Matrix residual = random.matrix(4, hidden);
    const Matrix add = random.matrix(4, hidden);
    const Matrix weight = random.matrix(1, hidden);
    Matrix normed(4, hidden);
    bench.ops.add_rms_norm({residual.view(), add.view(), 0.9F, weight.flat(), 1e-5F, normed.view()});
    append(out, residual);
    append(out, normed);
    for (const GateOrder order : {GateOrder::kGateFirst, GateOrder::kNormFirst}) {
      Matrix gated(4, hidden);
      bench.ops.gated_rms_norm(
          {residual.view(), add.view(), weight.flat(), hidden % 4 == 0 ? 4 : 1, 1e-5F, order, gated.view()});
      append(out, gated);
      bench.ops.gated_rms_norm({.y = residual.view(),
                                .z = add.view(),
                                .weight = weight.view().slice_columns(0, hidden % 4 == 0 ? hidden / 4 : hidden),
                                .groups = hidden % 4 == 0 ? 4 : 1,
                                .eps = 1e-5F,
                                .order = order,
                                .out = gated.view(),
                                .activation = Activation::kSigmoid});
      append(out, gated);
    }
  }
  return out;
}

std::vector<float> elementwise(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const Activation activation : activations()) {
    for (const int width : {1, 7, 64}) {
      const int rows = random.integer(1, 5), columns = width * random.integer(1, 90);
      const Matrix x = random.matrix(rows, columns), gate = random.matrix(rows, columns / width, 9.0F);
      const Matrix weight = random.matrix(1, columns), bias = random.matrix(1, columns);
      Matrix y = random.matrix(rows, columns);
      bench.ops.gate({.x = x.view(),
                      .gate = gate.view(),
                      .gate_width = width,
                      .activation = activation,
                      .scale = 0.3F,
                      .accumulate = random.integer(0, 1) == 1,
                      .out = y.view()});
      append(out, y);
      bench.ops.scaled_add({.first = {.x = y.view(), .scale = 1.5F, .weight = weight.flat(), .bias = bias.flat()},
                            .second = {.x = x.view(), .scale = 0.1F, .weight = bias.flat()},
                            .out = y.view()});
      append(out, y);
      bench.ops.activate(
          {.x = y.view(), .activation = activation, .input_scale = 4.0F, .output_scale = 0.7F, .out = y.view()});
      append(out, y);
    }
  }
  return out;
}

std::vector<float> convolution(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    const ConvModel model(random, random.integer(1, 5), random.integer(1, 200));
    StateSlots slots(4, std::int64_t{model.kernel - 1} * model.channels, 0, dtype, dtype);
    Sequences sequences;
    sequences.add(1, 1, 1, false);
    sequences.add(7, 2, 2, false);
    append(out, model.run(bench.ops, random.matrix(8, model.channels), sequences, slots.view));
    Sequences next;
    next.add(2, 1, 3, true);
    next.add(1, 2, 2, true);
    append(out, model.run(bench.ops, random.matrix(3, model.channels), next, slots.view));
    slots.append_to(out);
  }
  return out;
}

std::vector<float> scan(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    const SsmModel model(random, 4, random.integer(1, 9), 2, random.integer(1, 70));
    StateSlots slots(4, 0, model.state_elements(), dtype, dtype);
    Sequences sequences;
    sequences.add(1, 1, 1, false);
    sequences.add(37, 2, 2, false);
    append(out, model.scan(bench.ops, model.inputs(random, 38), sequences, slots.view));
    Sequences next;
    next.add(2, 1, 3, true);
    next.add(1, 2, 2, true);
    append(out, model.scan(bench.ops, model.inputs(random, 3), next, slots.view));
    slots.append_to(out);
  }
  return out;
}

/// Mamba-1's shape: one head of many rows, A for each element, dt for each row.
std::vector<float> mamba1_update(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  const int width = random.integer(30, 100);
  const int n = random.integer(1, 40);
  Matrix a = random.matrix(width, n, 2.0F);
  const Matrix x = random.matrix(3, width), dt = random.matrix(3, width), b = random.matrix(3, n),
               c = random.matrix(3, n);
  const Matrix z = random.matrix(3, width), d = random.matrix(1, width), bias = random.matrix(1, width);
  Matrix y(3, width);
  StateSlots slots(4, 0, std::int64_t{width} * n, DType::kFloat32, DType::kFloat32);
  const std::vector<std::int32_t> index{1, 2, 3};
  std::vector<float> out;
  for (int step = 0; step < 2; ++step) {
    const std::vector<std::uint8_t> initial(3, step == 0 ? 0 : 1);
    SelectiveStateUpdateArgs args;
    args.x = x.view();
    args.dt = dt.view();
    args.dt_per_row = true;
    args.b = b.view();
    args.c = c.view();
    args.z = z.view();
    args.a = a.data.data();
    args.a_stride_row = n;
    args.a_stride_state = 1;
    args.d = d.data.data();
    args.d_stride_row = 1;
    args.dt_bias = bias.data.data();
    args.dt_max = 1e30F;
    args.heads = 1;
    args.head_dim = width;
    args.state_size = n;
    args.state_read = index;
    args.state_write = index;
    args.has_initial_state = initial;
    args.state = slots.view;
    args.y = y.view();
    bench.ops.selective_state_update(args);
    append(out, y);
  }
  return out;
}

std::vector<float> recurrences(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const MakeRecurrence make : kRecurrences) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      const auto recurrence = make(random);
      recurrence->pack_with(bench.pack);
      StateSlots slots = recurrence->slots(4, dtype);
      Sequences sequences;
      sequences.add(1, 1, 1, false);
      sequences.add(21, 2, 2, false);
      append(out, recurrence->run(bench.ops, recurrence->tokens(random, 22), sequences, slots.view));
      Sequences next;
      next.add(2, 1, 3, true);
      next.add(1, 2, 2, true);
      append(out, recurrence->run(bench.ops, recurrence->tokens(random, 3), next, slots.view));
      slots.append_to(out);
    }
  }
  return out;
}

std::vector<float> write_and_attend(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
    const int dim = 2 * random.integer(4, 40);
    KvPages cache(8, 16, 2, dim, dtype);
    const KvSequence sequence(random, cache, 75, 1);
    Matrix q = random.matrix(75, 6 * dim);
    Matrix k = sequence.k;
    const Matrix norm = random.matrix(1, dim), cos = random.matrix(80, dim / 4), sin = random.matrix(80, dim / 4);
    std::vector<std::int32_t> positions;
    std::vector<std::int64_t> slots;
    for (int t = 0; t < 75; ++t) {
      positions.push_back(t);
      slots.push_back(sequence.slot(t, 16));
    }
    WriteKvArgs args;
    args.q = q.view();
    args.k = k.view();
    args.v = sequence.v.view();
    args.q_norm = norm.flat();
    args.k_norm = norm.flat();
    args.rope = {cos.view(), sin.view(), dim / 4 * 2, dtype == DType::kFloat16};
    args.positions = positions;
    args.slot_mapping = slots;
    args.cache = cache.view;
    bench.ops.qk_norm_rope_write_kv(args);
    append(out, q);
    append(out, attend(bench.ops, cache, sequence, q, 0, 75, {}));
    append(out, attend(bench.ops, cache, sequence, q, 70, 75,
                       {.window = 20, .soft_cap = 5.0F, .sinks = {0.1F, 0.2F, -1.0F, 2.0F, 0.0F, 1.0F}}));
  }
  return out;
}

/// One row [latent | rope] a token, and more heads than one unit of work takes.
std::vector<float> latent_attention(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
    const int latent = random.integer(10, 70), rotary = 2 * random.integer(1, 20), heads = random.integer(1, 40);
    KvPages cache(8, 16, {.head_dim = latent + rotary, .value_dim = latent, .value_is_key = true}, dtype);
    const KvSequence sequence(random, cache, 75, 1);
    Matrix q = random.matrix(75, heads * cache.head_dim);
    Matrix k = sequence.k;
    const Matrix cos = random.matrix(80, rotary / 2), sin = random.matrix(80, rotary / 2);
    std::vector<std::int32_t> positions;
    std::vector<std::int64_t> slots;
    for (int t = 0; t < 75; ++t) {
      positions.push_back(t);
      slots.push_back(sequence.slot(t, 16));
    }
    WriteKvArgs args;
    args.q = q.view();
    args.k = k.view();
    args.rope = {.cos = cos.view(), .sin = sin.view(), .rotary_dim = rotary, .interleaved = true, .offset = latent};
    args.positions = positions;
    args.slot_mapping = slots;
    args.cache = cache.view;
    bench.ops.qk_norm_rope_write_kv(args);
    append(out, q);
    append(out, attend(bench.ops, cache, sequence, q, 0, 75, {}));
  }
  return out;
}

/// One class more than experts; the activations of gated and plain experts take turns.
std::vector<float> experts(const Bench& bench, std::uint32_t seed) {
  Random random(seed);
  std::vector<float> out;
  int turn = 0;
  for (const Activation activation : {Activation::kSilu, Activation::kRelu2, Activation::kSwigluClamp}) {
    for (const RouterScoring scoring :
         {RouterScoring::kTopKThenSoftmax, RouterScoring::kSoftmaxThenTopK, RouterScoring::kSigmoid}) {
      const bool gated = activation != Activation::kRelu2;
      std::vector<PackedWeight> up, down;
      for (int e = 0; e < 5; ++e) {
        up.push_back(random_weight(bench, random, 20, 30, DType::kBFloat16, {.gate_up = gated}));
        down.push_back(random_weight(bench, random, 25, 20, DType::kBFloat16));
      }
      const Matrix x = random.matrix(9, 30), logits = random.matrix(9, 6, 3.0F), bias = random.matrix(1, 6);
      Matrix y = random.matrix(9, 25);
      bench.ops.moe({.x = x.view(),
                     .logits = logits.view(),
                     .router = {.top_k = 2,
                                .scoring = scoring,
                                .selection_bias = bias.flat(),
                                .groups = 1 + turn++ % 3,
                                .top_groups = 1,
                                .renormalize = turn % 2 == 0,
                                .renormalize_eps = 1e-6F,
                                .weight_scale = 2.5F},
                     .up = up,
                     .down = down,
                     .activation = activation,
                     .gated = gated,
                     .limit = 0.9F,
                     .scale = 1.5F,
                     .accumulate = true,
                     .out = y.view()});
      append(out, y);
    }
  }
  return out;
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"linear", linear},
      {"quantised linear", quantized_linear},
      {"embedding and norms", rows_and_norms},
      {"element-wise", elementwise},
      {"convolution", convolution},
      {"ssm scan", scan},
      {"mamba-1 state update", mamba1_update},
      {"recurrences", recurrences},
      {"attention", write_and_attend},
      {"latent attention", latent_attention},
      {"mixture of experts", experts},
  };
  return all;
}

}  // namespace krait::test
