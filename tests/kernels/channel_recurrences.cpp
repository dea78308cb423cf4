#include "tests/kernels/recurrence.h"

namespace krait::test {
namespace {

struct SelectiveScan final : Recurrence {
  int groups, channels, state_size;
  bool has_d, has_bias;
  Matrix a, d, bias;

  explicit SelectiveScan(Random& random)
      : groups(random.integer(1, 3)),
        channels(groups * random.integer(1, 40)),
        state_size(random.integer(1, 40)),
        has_d(random.integer(0, 3) > 0),
        has_bias(random.integer(0, 3) > 0),
        a(random.matrix(channels, state_size)),
        d(random.matrix(1, channels)),
        bias(random.matrix(1, channels)) {
    for (float& x : a.data) x = -0.1F - 3.0F * std::abs(x);
  }
  [[nodiscard]] std::string label() const override {
    return "selective scan, " + std::to_string(channels) + " channels in " + std::to_string(groups) + " groups of " +
           std::to_string(state_size);
  }
  [[nodiscard]] std::int64_t recurrent_elements() const override { return std::int64_t{channels} * state_size; }
  [[nodiscard]] int out_columns() const override { return channels; }
  [[nodiscard]] Tokens tokens(Random& random, int count) const override {
    Tokens in{count, {}};
    in.inputs.emplace_back(random, count, channels);
    in.inputs.emplace_back(random, count, channels, 2.0F);
    in.inputs.emplace_back(random, count, groups * state_size);
    in.inputs.emplace_back(random, count, groups * state_size);
    return in;
  }
  using Recurrence::run;
  void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
           const TensorView& out) const override {
    ops.selective_scan({.x = in[0].view(),
                        .dt = in[1].view(),
                        .b = in[2].view(),
                        .c = in[3].view(),
                        .a = a.view(),
                        .d = has_d ? d.flat() : TensorView{},
                        .dt_bias = has_bias ? bias.flat() : TensorView{},
                        .channels = channels,
                        .groups = groups,
                        .state_size = state_size,
                        .batch = batch,
                        .state = state,
                        .y = out});
  }
  [[nodiscard]] Exact exact(const Tokens& in, DType) const override {
    Exact result;
    result.state.resize(static_cast<std::size_t>(recurrent_elements()));
    for (int t = 0; t < in.count; ++t) {
      for (int c = 0; c < channels; ++c) {
        const double dt = softplus(in[1].at(t, c) + (has_bias ? static_cast<double>(bias.at(0, c)) : 0.0));
        const double x = in[0].at(t, c);
        const int first = c / (channels / groups) * state_size;
        double sum = has_d ? static_cast<double>(d.at(0, c)) * x : 0.0;
        for (int n = 0; n < state_size; ++n) {
          double& s = result.state[static_cast<std::size_t>(c * state_size + n)];
          s = std::exp(dt * static_cast<double>(a.at(c, n))) * s + dt * x * in[2].at(t, first + n);
          sum += s * in[3].at(t, first + n);
        }
        result.out.push_back(sum);
      }
    }
    return result;
  }
};

struct RgLru final : Recurrence {
  int channels;
  Matrix coefficient;

  explicit RgLru(Random& random) : channels(random.integer(1, 150)), coefficient(random.matrix(1, channels, 3.0F)) {
    // From about -1e-6, where a is close to 1, to -8.
    for (float& x : coefficient.data) x = -8.0F * std::exp(-2.5F * (x + 3.0F));
  }
  [[nodiscard]] std::string label() const override { return "RG-LRU, " + std::to_string(channels) + " channels"; }
  [[nodiscard]] std::int64_t recurrent_elements() const override { return channels; }
  [[nodiscard]] int out_columns() const override { return channels; }
  [[nodiscard]] Tokens tokens(Random& random, int count) const override {
    Tokens in{count, {}};
    in.inputs.emplace_back(random, count, channels);
    in.inputs.emplace_back(random, count, channels, 3.0F);
    in.inputs.emplace_back(random, count, channels, 3.0F);
    return in;
  }
  using Recurrence::run;
  void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
           const TensorView& out) const override {
    ops.rg_lru({.x = in[0].view(),
                .input_gate = in[1].view(),
                .recurrent_gate = in[2].view(),
                .a_coefficient = coefficient.flat(),
                .batch = batch,
                .state = state,
                .y = out});
  }
  [[nodiscard]] Exact exact(const Tokens& in, DType) const override {
    Exact result;
    result.state.resize(static_cast<std::size_t>(channels));
    for (int t = 0; t < in.count; ++t) {
      for (int c = 0; c < channels; ++c) {
        const double log_a = static_cast<double>(coefficient.at(0, c)) * sigmoid(in[2].at(t, c));
        const double root = t == 0 ? 1.0 : std::sqrt(-std::expm1(2.0 * log_a));
        double& s = result.state[static_cast<std::size_t>(c)];
        s = std::exp(log_a) * s + root * sigmoid(in[1].at(t, c)) * in[0].at(t, c);
        result.out.push_back(s);
      }
    }
    return result;
  }
};

}  // namespace

std::unique_ptr<Recurrence> make_selective_scan(Random& random) { return std::make_unique<SelectiveScan>(random); }
std::unique_ptr<Recurrence> make_rg_lru(Random& random) { return std::make_unique<RgLru>(random); }

}  // namespace krait::test
