#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/layers/plamo2_mixer.h"
#include "tests/models/layers/random_checkpoint.h"

/// The Mamba-2 mixers in plain loops and in double.
namespace krait::test {

using Vector = std::vector<double>;

inline std::size_t at(int index) { return static_cast<std::size_t>(index); }
inline double silu(double x) { return x / (1.0 + std::exp(-x)); }

inline Vector part(const Vector& x, int begin, int count) { return {x.begin() + begin, x.begin() + begin + count}; }

/// x / sqrt(mean(x^2) + eps), in equal groups.
inline void norm_groups(Vector& x, int groups, double eps) {
  const int width = static_cast<int>(x.size()) / groups;
  for (int g = 0; g < groups; ++g) {
    double sum = 0.0;
    for (int i = g * width; i < (g + 1) * width; ++i) sum += x[at(i)] * x[at(i)];
    const double factor = 1.0 / std::sqrt(sum / width + eps);
    for (int i = g * width; i < (g + 1) * width; ++i) x[at(i)] *= factor;
  }
}

/// Convolution and scan of one request, token by token.
class NaiveRecurrence {
 public:
  NaiveRecurrence(const Mamba2Dimensions& dimensions, const RandomCheckpoint& weights, std::string name, int channels)
      : d_(dimensions), weights_(weights), name_(std::move(name)), inputs_(at(d_.conv_kernel), Vector(at(channels))) {
    state_.assign(at(d_.heads * d_.head_dim * d_.state_size), 0.0);
  }

  Vector convolve(const Vector& x) {
    inputs_.erase(inputs_.begin());
    inputs_.push_back(x);
    Vector out(x.size());
    for (std::size_t c = 0; c < x.size(); ++c) {
      double sum = d_.conv_bias ? weights_.at(name_ + ".conv1d.bias", c) : 0.0;
      for (std::size_t k = 0; k < inputs_.size(); ++k) {
        sum += weights_.at(name_ + ".conv1d.weight", c * inputs_.size() + k) * inputs_[k][c];
      }
      out[c] = silu(sum);
    }
    return out;
  }

  Vector scan(const Vector& x, const Vector& b, const Vector& c, const Vector& raw_dt) {
    Vector y(x.size());
    for (int h = 0; h < d_.heads; ++h) {
      const int group = h / (d_.heads / d_.groups);
      const double softplus = std::log1p(std::exp(raw_dt[at(h)] + weights_.at(name_ + ".dt_bias", at(h))));
      const double dt = std::min(std::max(softplus, static_cast<double>(d_.dt_min)), static_cast<double>(d_.dt_max));
      const double decay = std::exp(-dt * std::exp(weights_.at(name_ + ".A_log", at(h))));
      for (int row = h * d_.head_dim; row < (h + 1) * d_.head_dim; ++row) {
        y[at(row)] = weights_.at(name_ + ".D", at(h)) * x[at(row)];
        for (int n = 0; n < d_.state_size; ++n) {
          double& s = state_[at(row * d_.state_size + n)];
          s = decay * s + dt * x[at(row)] * b[at(group * d_.state_size + n)];
          y[at(row)] += s * c[at(group * d_.state_size + n)];
        }
      }
    }
    return y;
  }

 private:
  Mamba2Dimensions d_;
  const RandomCheckpoint& weights_;
  std::string name_;
  std::vector<Vector> inputs_;  ///< the last `conv_kernel`, oldest first
  Vector state_;
};

/// The tensors of the convolution and the scan.
inline void add_recurrence(RandomCheckpoint& weights, const std::string& name, const Mamba2Dimensions& d,
                           int channels) {
  weights.add(name + ".conv1d.weight", {channels, 1, d.conv_kernel});
  if (d.conv_bias) weights.add(name + ".conv1d.bias", {channels});
  weights.add(name + ".A_log", {d.heads}, 0.0F, 2.0F);
  weights.add(name + ".D", {d.heads});
  weights.add(name + ".dt_bias", {d.heads}, -3.0F, 0.0F);
}

inline int inner_size(const Mamba2Dimensions& d) { return d.heads * d.head_dim; }
inline int group_columns(const Mamba2Dimensions& d) { return d.groups * d.state_size; }

/// The tensors of PLaMo 2's mixer.
inline void add_plamo2_mixer(RandomCheckpoint& weights, const std::string& name, const Plamo2MixerConfig& config) {
  const int inner = inner_size(config);
  weights.add_linear(name + ".in_proj", 2 * inner, config.hidden_size);
  weights.add_linear(name + ".bcdt_proj", 2 * config.state_size + config.dt_rank, inner);
  weights.add_linear(name + ".dt_proj", config.heads, config.dt_rank);
  weights.add_linear(name + ".out_proj", config.hidden_size, inner);
  weights.add(name + ".B_norm_weight", {config.state_size});
  weights.add(name + ".C_norm_weight", {config.state_size});
  weights.add(name + ".dt_norm_weight", {config.dt_rank});
  add_recurrence(weights, name, config, inner);
}

class NaivePlamo2 {
 public:
  NaivePlamo2(const Plamo2MixerConfig& config, const RandomCheckpoint& weights, const std::string& name)
      : c_(config), weights_(weights), name_(name), recurrence_(config, weights, name, inner_size(config)) {}

  Vector operator()(const Vector& input) {
    const Vector zx = weights_.linear(name_ + ".in_proj", input);
    Vector z;
    Vector x;
    for (int h = 0; h < c_.heads; ++h) {
      for (int i = 0; i < c_.head_dim; ++i) z.push_back(zx[at(2 * h * c_.head_dim + i)]);
      for (int i = 0; i < c_.head_dim; ++i) x.push_back(zx[at((2 * h + 1) * c_.head_dim + i)]);
    }
    x = recurrence_.convolve(x);
    const Vector bcdt = weights_.linear(name_ + ".bcdt_proj", x);
    const Vector b = normed(part(bcdt, 0, c_.state_size), "B");
    const Vector c = normed(part(bcdt, c_.state_size, c_.state_size), "C");
    const Vector dt = weights_.linear(name_ + ".dt_proj", normed(part(bcdt, 2 * c_.state_size, c_.dt_rank), "dt"));
    Vector y = recurrence_.scan(x, b, c, dt);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= silu(z[i]);
    return weights_.linear(name_ + ".out_proj", y);
  }

 private:
  [[nodiscard]] Vector normed(Vector x, const std::string& name) const {
    norm_groups(x, 1, static_cast<double>(c_.norm_eps));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= weights_.at(name_ + "." + name + "_norm_weight", i);
    return x;
  }

  Plamo2MixerConfig c_;
  const RandomCheckpoint& weights_;
  std::string name_;
  NaiveRecurrence recurrence_;
};

}  // namespace krait::test
