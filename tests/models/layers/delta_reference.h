#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/models/layers/random_checkpoint.h"

namespace krait::test::delta {

using Vector = RandomCheckpoint::Vector;
inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double softplus(double x) { return std::log1p(std::exp(x)); }

inline std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// What one token's projections are, by name.
struct Projected {
  Vector qkv;
  Vector z;
  Vector beta;   ///< raw, a value head each
  Vector decay;  ///< g, one a value head and key channel
};

/// Everything that the recurrence needs to know.
struct Sizes {
  int key_heads = 0;
  int value_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  int kernel = 0;
  double beta_scale = 1.0;
  double norm_eps = 0.0;
  bool silu_gate = true;
  std::string norm;
  std::string output;
  std::vector<std::string> convolutions;  ///< one or three tensors

  [[nodiscard]] int key_size() const { return key_heads * key_dim; }
  [[nodiscard]] int channels() const { return 2 * key_size() + value_heads * value_dim; }
};

/// A mixer of the delta rule as its papers state it, in double: convolution and silu, l2 norms, the recurrence, the
/// gated norm of each head and the output projection. `project` makes the rest of a token's input.
class Reference {
 public:
  Reference(Sizes sizes, const RandomCheckpoint& weights, std::function<Projected(const Vector&)> project)
      : s_(std::move(sizes)), weights_(weights), project_(std::move(project)) {
    state_.assign(at(s_.value_heads * s_.key_dim * s_.value_dim), 0.0);
    history_.assign(at(s_.kernel - 1), Vector(at(s_.channels())));
  }

  Vector token(const Vector& x) {
    const Projected in = project_(x);
    const Vector qkv = convolve(in.qkv);
    Vector heads;
    for (int h = 0; h < s_.value_heads; ++h) {
      const Vector o = recur(qkv, in, h);
      double squares = 0.0;
      for (const double value : o) squares += value * value;
      const double scale = 1.0 / std::sqrt(squares / s_.value_dim + s_.norm_eps);
      for (int i = 0; i < s_.value_dim; ++i) {
        const double z = in.z[at(h * s_.value_dim + i)];
        heads.push_back(weights_.at(s_.norm, at(i)) * o[at(i)] * scale * (s_.silu_gate ? z * sigmoid(z) : sigmoid(z)));
      }
    }
    return weights_.linear(s_.output, heads);
  }

 private:
  /// The weight of channel c at tap k, whichever tensor has it.
  [[nodiscard]] double tap(int channel, int k) const {
    if (s_.convolutions.size() == 1) return weights_.at(s_.convolutions[0], at(channel * s_.kernel + k));
    const int part = std::min(channel / s_.key_size(), 2);
    return weights_.at(s_.convolutions[at(part)], at((channel - part * s_.key_size()) * s_.kernel + k));
  }

  Vector convolve(const Vector& now) {
    history_.push_back(now);
    Vector out(now.size());
    for (int c = 0; c < s_.channels(); ++c) {
      double sum = 0.0;
      for (int k = 0; k < s_.kernel; ++k) sum += tap(c, k) * history_[at(k)][at(c)];
      out[at(c)] = sum * sigmoid(sum);
    }
    history_.erase(history_.begin());
    return out;
  }

  [[nodiscard]] Vector unit(const Vector& x, int first) const {
    Vector part(x.begin() + first, x.begin() + first + s_.key_dim);
    double squares = 1e-6;
    for (const double value : part) squares += value * value;
    for (double& value : part) value /= std::sqrt(squares);
    return part;
  }

  Vector recur(const Vector& qkv, const Projected& in, int head) {
    const int key_head = head / (s_.value_heads / s_.key_heads);
    const Vector q = unit(qkv, key_head * s_.key_dim);
    const Vector k = unit(qkv, s_.key_size() + key_head * s_.key_dim);
    const double beta = s_.beta_scale * sigmoid(in.beta[at(head)]);
    Vector out(at(s_.value_dim));
    for (int v = 0; v < s_.value_dim; ++v) {
      double* row = &state_[at((head * s_.value_dim + v) * s_.key_dim)];
      double predicted = 0.0;
      for (int i = 0; i < s_.key_dim; ++i) {
        row[i] *= std::exp(in.decay[at(head * s_.key_dim + i)]);
        predicted += row[i] * k[at(i)];
      }
      const double value = qkv[at(2 * s_.key_size() + head * s_.value_dim + v)];
      for (int i = 0; i < s_.key_dim; ++i) {
        row[i] += k[at(i)] * beta * (value - predicted);
        out[at(v)] += row[i] * q[at(i)] / std::sqrt(s_.key_dim);
      }
    }
    return out;
  }

  Sizes s_;
  const RandomCheckpoint& weights_;
  std::function<Projected(const Vector&)> project_;
  Vector state_;
  std::vector<Vector> history_;
};

}  // namespace krait::test::delta
