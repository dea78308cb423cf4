#include "kernels/cpu/cpu_weight.h"
#include "kernels/thread_pool.h"
#include "tests/kernels/recurrence.h"

namespace krait::test {
namespace {

/// What convolutions share: their inputs are their state.
struct Convolution : Recurrence {
  int kernel, channels;
  bool has_bias, has_initial;
  Matrix bias, initial;

  Convolution(Random& random, int kernel_in, int channels_in)
      : kernel(kernel_in),
        channels(channels_in),
        has_bias(random.integer(0, 1) == 1),
        has_initial(random.integer(0, 1) == 1),
        bias(random.matrix(1, channels)),
        initial(random.matrix(1, channels)) {}
  [[nodiscard]] std::string sizes() const {
    return ", " + std::to_string(kernel) + " taps, " + std::to_string(channels) + " channels" +
           (has_initial ? ", initial" : "");
  }
  [[nodiscard]] std::int64_t conv_elements() const override { return std::int64_t{kernel - 1} * channels; }
  [[nodiscard]] int out_columns() const override { return channels; }
  [[nodiscard]] Tokens tokens(Random& random, int count) const override {
    Tokens in{count, {}};
    in.inputs.emplace_back(random, count, channels);
    return in;
  }
  /// The input of token `from` as token `t` sees it.
  [[nodiscard]] double seen(const Tokens& in, int from, int t, int channel, DType dtype) const {
    if (from == t) return in[0].at(t, channel);
    if (from < 0 && !has_initial) return 0.0;
    const float value = from < 0 ? initial.at(0, channel) : static_cast<float>(in[0].at(from, channel));
    return static_cast<double>(round_to(value, dtype));
  }
  [[nodiscard]] std::vector<double> state_after(const Tokens& in, DType dtype) const {
    std::vector<double> state;
    for (int k = 1; k < kernel; ++k) {
      for (int c = 0; c < channels; ++c) state.push_back(seen(in, in.count - kernel + k, in.count, c, dtype));
    }
    return state;
  }
};

struct DepthwiseConvolution final : Convolution {
  bool silu;
  Matrix weight;

  explicit DepthwiseConvolution(Random& random)
      : Convolution(random, random.integer(1, 6), random.integer(1, 150)),
        silu(random.integer(0, 1) == 1),
        weight(random.matrix(kernel, channels)) {}
  [[nodiscard]] std::string label() const override { return "convolution" + sizes(); }
  using Recurrence::run;
  void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
           const TensorView& out) const override {
    ops.causal_conv1d({.x = in[0].view(),
                       .weight = weight.view(),
                       .bias = has_bias ? bias.flat() : TensorView{},
                       .initial = has_initial ? initial.flat() : TensorView{},
                       .silu = silu,
                       .batch = batch,
                       .state = state,
                       .out = out});
  }
  [[nodiscard]] Exact exact(const Tokens& in, DType dtype) const override {
    Exact result{{}, state_after(in, dtype)};
    for (int t = 0; t < in.count; ++t) {
      for (int c = 0; c < channels; ++c) {
        double sum = has_bias ? static_cast<double>(bias.at(0, c)) : 0.0;
        for (int k = 0; k < kernel; ++k) {
          sum += static_cast<double>(weight.at(k, c)) * seen(in, t - (kernel - 1) + k, t, c, dtype);
        }
        result.out.push_back(silu ? sum * sigmoid(sum) : sum);
      }
    }
    return result;
  }
};

struct GroupedConvolution final : Convolution {
  int groups, width;
  bool in_bfloat16;             ///< products of bfloat16
  std::vector<Matrix> weights;  ///< [groups * taps], each [width out, width in]
  std::vector<PackedWeight> packed;

  explicit GroupedConvolution(Random& random) : GroupedConvolution(random, random.integer(1, 4)) {}
  GroupedConvolution(Random& random, int groups_in)
      : Convolution(random, random.integer(1, 4), groups_in * random.integer(1, 40)),
        groups(groups_in),
        width(channels / groups),
        in_bfloat16(random.integer(0, 2) == 0) {
    for (int i = 0; i < groups * kernel; ++i) {
      weights.push_back(random.matrix(width, width));
      for (float& x : weights.back().data) x = multiplied(x);
    }
    ThreadPool pool(1);
    pack_with([&](const WeightSource& source, const PackScheme& scheme) {
      return cpu::pack_weight(source, scheme, {}, *cpu::portable_kernels(), pool);
    });
  }
  void pack_with(const PackWeight& pack) override {
    packed.clear();
    const PackScheme scheme{.compute_dtype = in_bfloat16 ? DType::kBFloat16 : DType::kFloat32};
    for (const Matrix& weight : weights) packed.push_back(pack({{weight.view()}, {}}, scheme));
  }
  [[nodiscard]] float multiplied(float x) const { return in_bfloat16 ? round_to(x, DType::kBFloat16) : x; }
  [[nodiscard]] std::string label() const override {
    return "grouped convolution, " + std::to_string(groups) + " groups" + sizes() + (in_bfloat16 ? ", bfloat16" : "");
  }
  using Recurrence::run;
  void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
           const TensorView& out) const override {
    ops.grouped_causal_conv1d({.x = in[0].view(),
                               .weights = packed,
                               .groups = groups,
                               .kernel = kernel,
                               .bias = has_bias ? bias.flat() : TensorView{},
                               .initial = has_initial ? initial.flat() : TensorView{},
                               .batch = batch,
                               .state = state,
                               .out = out});
  }
  [[nodiscard]] Exact exact(const Tokens& in, DType dtype) const override {
    Exact result{{}, state_after(in, dtype)};
    for (int t = 0; t < in.count; ++t) {
      for (int c = 0; c < channels; ++c) {
        const int group = c / width;
        double sum = has_bias ? static_cast<double>(bias.at(0, c)) : 0.0;
        for (int k = 0; k < kernel; ++k) {
          const Matrix& weight = weights[static_cast<std::size_t>(group * kernel + k)];
          for (int i = 0; i < width; ++i) {
            const double x = seen(in, t - (kernel - 1) + k, t, group * width + i, dtype);
            sum +=
                static_cast<double>(weight.at(c % width, i)) * static_cast<double>(multiplied(static_cast<float>(x)));
          }
        }
        result.out.push_back(sum);
      }
    }
    return result;
  }
};

}  // namespace

std::unique_ptr<Recurrence> make_convolution(Random& random) { return std::make_unique<DepthwiseConvolution>(random); }
std::unique_ptr<Recurrence> make_grouped_convolution(Random& random) {
  return std::make_unique<GroupedConvolution>(random);
}

}  // namespace krait::test
