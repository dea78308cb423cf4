#include "tests/kernels/recurrence.h"

namespace krait::test {
namespace {

struct DeltaRule final : Recurrence {
  int key_heads, value_heads, key_dim, value_dim;
  bool per_channel, bounded;
  float beta_scale;
  float lower_bound = -5.0F;
  float eps = 1e-6F;
  Matrix a, bias;

  explicit DeltaRule(Random& random)
      : key_heads(random.integer(1, 3)),
        value_heads(key_heads * random.integer(1, 3)),
        key_dim(random.integer(1, 70)),
        value_dim(random.integer(1, 70)),
        per_channel(random.integer(0, 1) == 1),
        bounded(random.integer(0, 1) == 1),
        beta_scale(random.integer(0, 1) == 1 ? 2.0F : 1.0F),
        a(random.matrix(1, value_heads)),
        bias(random.matrix(1, decay_width())) {
    for (float& x : a.data) x = bounded ? std::exp(x) : -std::exp(x);
  }
  [[nodiscard]] int decay_width() const { return per_channel ? value_heads * key_dim : value_heads; }
  [[nodiscard]] std::string label() const override {
    return "delta rule " + std::to_string(key_heads) + "/" + std::to_string(value_heads) + " heads of " +
           std::to_string(key_dim) + "/" + std::to_string(value_dim) + (per_channel ? ", per channel" : "") +
           (bounded ? ", bounded" : "");
  }
  [[nodiscard]] std::int64_t recurrent_elements() const override {
    return std::int64_t{value_heads} * value_dim * key_dim;
  }
  [[nodiscard]] int out_columns() const override { return value_heads * value_dim; }
  [[nodiscard]] Tokens tokens(Random& random, int count) const override {
    Tokens in{count, {}};
    in.inputs.emplace_back(random, count, key_heads * key_dim);
    in.inputs.emplace_back(random, count, key_heads * key_dim);
    in.inputs.emplace_back(random, count, value_heads * value_dim);
    in.inputs.emplace_back(random, count, decay_width(), 2.0F);
    in.inputs.emplace_back(random, count, value_heads, 2.0F);
    return in;
  }
  using Recurrence::run;
  void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
           const TensorView& out) const override {
    ops.delta_rule({.q = in[0].view(),
                    .k = in[1].view(),
                    .v = in[2].view(),
                    .decay = in[3].view(),
                    .decay_per_channel = per_channel,
                    .decay_kind = bounded ? DeltaDecay::kBoundedSigmoid : DeltaDecay::kSoftplus,
                    .lower_bound = lower_bound,
                    .a = a.flat(),
                    .decay_bias = bias.flat(),
                    .beta = in[4].view(),
                    .beta_scale = beta_scale,
                    .qk_norm_eps = eps,
                    .key_heads = key_heads,
                    .value_heads = value_heads,
                    .key_dim = key_dim,
                    .value_dim = value_dim,
                    .batch = batch,
                    .state = state,
                    .out = out});
  }

  [[nodiscard]] std::vector<double> l2(const StridedRows& rows, int t, int head) const {
    std::vector<double> x;
    double sum = static_cast<double>(eps);
    for (int i = 0; i < key_dim; ++i) {
      x.push_back(rows.at(t, head * key_dim + i));
      sum += x.back() * x.back();
    }
    for (double& value : x) value /= std::sqrt(sum);
    return x;
  }
  [[nodiscard]] double decay(const Tokens& in, int t, int h, int i) const {
    const int column = per_channel ? h * key_dim + i : h;
    const double u = in[3].at(t, column) + static_cast<double>(bias.at(0, column));
    const double coefficient = static_cast<double>(a.at(0, h));
    return std::exp(bounded ? static_cast<double>(lower_bound) * sigmoid(coefficient * u) : coefficient * softplus(u));
  }
  [[nodiscard]] Exact exact(const Tokens& in, DType) const override {
    Exact result;
    result.state.resize(static_cast<std::size_t>(recurrent_elements()));
    for (int t = 0; t < in.count; ++t) {
      for (int h = 0; h < value_heads; ++h) {
        const int key_head = h / (value_heads / key_heads);
        const std::vector<double> q = l2(in[0], t, key_head), k = l2(in[1], t, key_head);
        const double beta = static_cast<double>(beta_scale) * sigmoid(in[4].at(t, h));
        for (int r = 0; r < value_dim; ++r) {
          double* s = result.state.data() + (h * value_dim + r) * key_dim;
          double predicted = 0.0, out = 0.0;
          for (int i = 0; i < key_dim; ++i) {
            s[i] *= decay(in, t, h, i);
            predicted += s[i] * k[static_cast<std::size_t>(i)];
          }
          const double delta = beta * (in[2].at(t, h * value_dim + r) - predicted);
          for (int i = 0; i < key_dim; ++i) {
            s[i] += delta * k[static_cast<std::size_t>(i)];
            out += s[i] * q[static_cast<std::size_t>(i)] / std::sqrt(static_cast<double>(key_dim));
          }
          result.out.push_back(out);
        }
      }
    }
    return result;
  }
};

struct LinearAttention final : Recurrence {
  int heads, dim;
  Matrix decay;

  explicit LinearAttention(Random& random)
      : heads(random.integer(1, 5)), dim(random.integer(1, 70)), decay(random.matrix(1, heads)) {
    for (float& x : decay.data) x = std::exp(-std::abs(x));
  }
  [[nodiscard]] std::string label() const override {
    return "linear attention, " + std::to_string(heads) + " heads of " + std::to_string(dim);
  }
  [[nodiscard]] std::int64_t recurrent_elements() const override { return std::int64_t{heads} * dim * dim; }
  [[nodiscard]] int out_columns() const override { return heads * dim; }
  [[nodiscard]] Tokens tokens(Random& random, int count) const override {
    Tokens in{count, {}};
    for (int i = 0; i < 3; ++i) in.inputs.emplace_back(random, count, heads * dim);
    return in;
  }
  using Recurrence::run;
  void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
           const TensorView& out) const override {
    ops.linear_attention({.q = in[0].view(),
                          .k = in[1].view(),
                          .v = in[2].view(),
                          .decay = decay.flat(),
                          .heads = heads,
                          .head_dim = dim,
                          .batch = batch,
                          .state = state,
                          .out = out});
  }
  [[nodiscard]] Exact exact(const Tokens& in, DType) const override {
    Exact result;
    result.state.resize(static_cast<std::size_t>(recurrent_elements()));
    for (int t = 0; t < in.count; ++t) {
      for (int h = 0; h < heads; ++h) {
        for (int r = 0; r < dim; ++r) {
          double out = 0.0;
          for (int i = 0; i < dim; ++i) {
            double& s = result.state[static_cast<std::size_t>((h * dim + r) * dim + i)];
            s = static_cast<double>(decay.at(0, h)) * s + in[1].at(t, h * dim + i) * in[2].at(t, h * dim + r);
            out += s * in[0].at(t, h * dim + i);
          }
          result.out.push_back(out);
        }
      }
    }
    return result;
  }
};

}  // namespace

std::unique_ptr<Recurrence> make_delta_rule(Random& random) { return std::make_unique<DeltaRule>(random); }
std::unique_ptr<Recurrence> make_linear_attention(Random& random) { return std::make_unique<LinearAttention>(random); }

}  // namespace krait::test
