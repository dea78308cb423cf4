#include <limits>

#include "models/layers/mamba2_mixer.h"
#include "tests/models/layers/mixer_checks.h"
#include "tests/models/layers/naive_mamba2.h"

using namespace krait;

// The Mamba-2 mixers against the written-out formulas in double, for dimensions and switches that no fixture has, and
// cut anywhere against whole, bit for bit.

namespace {

using namespace krait::test;

/// W x + b where there is a bias.
Vector linear(const RandomCheckpoint& weights, const std::string& name, const Vector& x, bool bias) {
  Vector y = weights.linear(name, x);
  for (std::size_t i = 0; bias && i < y.size(); ++i) y[i] += weights.at(name + ".bias", i);
  return y;
}

class NaiveMixer {
 public:
  NaiveMixer(const Mamba2Config& config, const RandomCheckpoint& weights)
      : c_(config),
        weights_(weights),
        recurrence_(config, weights, "mixer", inner_size(config) + 2 * group_columns(config)) {}

  Vector operator()(Vector x) {
    for (double& value : x) value *= static_cast<double>(c_.input_multiplier);
    Vector projected = linear(weights_, "mixer.in_proj", x, c_.in_proj_bias);
    const int inner = inner_size(c_);
    const int columns = group_columns(c_);
    int begin = 0;
    const std::array<int, 5> widths{inner, inner, columns, columns, c_.heads};
    for (std::size_t s = 0; s < widths.size(); ++s) {
      for (int i = begin; i < begin + widths[s]; ++i) {
        projected[at(i)] *= static_cast<double>(c_.segment_multipliers[s]);
      }
      begin += widths[s];
    }
    const Vector z = part(projected, 0, inner);
    const Vector xbc = recurrence_.convolve(part(projected, inner, inner + 2 * columns));
    Vector y = recurrence_.scan(part(xbc, 0, inner), part(xbc, inner, columns), part(xbc, inner + columns, columns),
                                part(projected, 2 * inner + 2 * columns, c_.heads));
    gate(y, z);
    return linear(weights_, "mixer.out_proj", y, c_.out_proj_bias);
  }

 private:
  void gate(Vector& y, const Vector& z) const {
    const bool norm_first = c_.gate_order == GateOrder::kNormFirst;
    if (c_.gated_norm && norm_first) norm_groups(y, c_.groups, static_cast<double>(c_.norm_eps));
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= silu(z[i]);
    if (c_.gated_norm && !norm_first) norm_groups(y, c_.groups, static_cast<double>(c_.norm_eps));
    for (std::size_t i = 0; c_.gated_norm && i < y.size(); ++i) y[i] *= weights_.at("mixer.norm.weight", i);
  }

  Mamba2Config c_;
  const RandomCheckpoint& weights_;
  NaiveRecurrence recurrence_;
};

void check_mixer(const Mamba2Config& config) {
  CAPTURE(config.heads, config.groups, config.conv_kernel, config.gated_norm);
  RandomCheckpoint weights;
  const int inner = inner_size(config);
  const int channels = inner + 2 * group_columns(config);
  weights.add_linear("mixer.in_proj", inner + channels + config.heads, config.hidden_size);
  if (config.in_proj_bias) weights.add("mixer.in_proj.bias", {inner + channels + config.heads});
  weights.add_linear("mixer.out_proj", config.hidden_size, inner);
  if (config.out_proj_bias) weights.add("mixer.out_proj.bias", {config.hidden_size});
  if (config.gated_norm) weights.add("mixer.norm.weight", {inner});
  add_recurrence(weights, "mixer", config, channels);
  weights.write();
  check_formula<Mamba2Mixer>(config, weights.folder(), NaiveMixer(config, weights));
  check_cuts<Mamba2Mixer>(config, weights.folder());
}

Mamba2Config plain_config() {
  Mamba2Config config;
  config.hidden_size = 24;
  config.heads = 6;
  config.head_dim = 10;
  config.groups = 3;
  config.state_size = 12;
  config.conv_kernel = 4;
  config.chunk_size = 1;  // so that a snapshot may be anywhere
  config.dt_max = std::numeric_limits<float>::infinity();
  return config;
}

}  // namespace

TEST_CASE("the Mamba-2 mixer follows its formulas under any cut: norms, biases, limits, groups, convolutions") {
  Mamba2Config config = plain_config();
  check_mixer(config);
  config.in_proj_bias = true;
  config.conv_kernel = 2;
  config.groups = 1;
  config.gate_order = GateOrder::kNormFirst;
  check_mixer(config);
  config.in_proj_bias = false;
  config.out_proj_bias = true;
  config.conv_bias = false;
  config.groups = 6;
  config.gated_norm = false;
  check_mixer(config);
  config.conv_kernel = 7;
  config.head_dim = 5;
  config.dt_min = 0.1F;
  config.dt_max = 0.3F;
  config.gated_norm = true;
  config.norm_eps = 0.1F;
  check_mixer(config);
}

TEST_CASE("multipliers of the Mamba-2 mixer's input and of in_proj's parts, with and without biases") {
  Mamba2Config config = plain_config();
  config.segment_multipliers = {0.7F, 0.9F, 1.6F, -0.5F, 0.8F};
  check_mixer(config);
  config.input_multiplier = 1.3F;
  config.in_proj_bias = true;
  check_mixer(config);
  config.segment_multipliers = {1.0F, 1.0F, 1.0F, 1.0F, 1.0F};
  config.groups = 2;
  check_mixer(config);
}

TEST_CASE("PLaMo 2's mixer follows its formulas under any cut") {
  Plamo2MixerConfig config;
  config.hidden_size = 20;
  config.heads = 3;
  config.head_dim = 9;
  config.state_size = 7;
  config.conv_kernel = 3;
  config.chunk_size = 1;
  config.conv_bias = false;
  config.dt_max = std::numeric_limits<float>::infinity();
  config.dt_rank = 11;
  RandomCheckpoint weights;
  add_plamo2_mixer(weights, "mixer", config);
  weights.write();
  check_formula<Plamo2Mixer>(config, weights.folder(), NaivePlamo2(config, weights, "mixer"));
  check_cuts<Plamo2Mixer>(config, weights.folder());
}
