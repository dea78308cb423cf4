#include <catch2/catch.hpp>
#include <cmath>

#include "models/layers/rg_lru_mixer.h"
#include "tests/models/layers/mixer_checks.h"
#include "tests/models/layers/random_checkpoint.h"

using namespace krait;

// Griffin's recurrent block against the written-out formula in double, for dimensions that no fixture has.

namespace {

using Vector = std::vector<double>;
using test::RandomCheckpoint;

std::size_t at(int index) { return static_cast<std::size_t>(index); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

void fill(RandomCheckpoint& w, const RgLruConfig& c) {
  const std::int64_t width = c.channels / c.heads;
  for (const char* name : {"mixer.linear_x", "mixer.linear_y"}) {
    w.add_linear(name, c.channels, c.hidden_size);
    w.add(std::string(name) + ".bias", {c.channels});
  }
  w.add_linear("mixer.linear_out", c.hidden_size, c.channels);
  w.add("mixer.linear_out.bias", {c.hidden_size});
  w.add("mixer.conv_1d.weight", {c.channels, 1, c.conv_kernel});
  w.add("mixer.conv_1d.bias", {c.channels});
  for (const char* gate : {"input", "recurrent"}) {
    const std::string prefix = std::string("mixer.rg_lru.") + gate + "_gate_";
    w.add(prefix + "weight", {c.heads, width, width});
    w.add(prefix + "bias", {c.heads, width});
  }
  w.add("mixer.rg_lru.recurrent_param", {c.channels}, -6.0F, 1.0F);
  w.write();
}

class Reference {
 public:
  Reference(const RgLruConfig& config, const RandomCheckpoint& weights) : c_(config), w_(weights) {
    state_.assign(at(c_.channels), 0.0);
    history_.assign(at(c_.conv_kernel - 1), Vector(at(c_.channels)));
  }

  Vector operator()(const Vector& input) {
    Vector y = product("mixer.linear_y", input);
    const Vector u = convolve(product("mixer.linear_x", input));
    for (int c = 0; c < c_.channels; ++c) {
      const double rate = -8.0 * softplus(w_.at("mixer.rg_lru.recurrent_param", at(c)));
      const double log_a = rate * sigmoid(gate("recurrent", u, c));
      const double entering = sigmoid(gate("input", u, c)) * u[at(c)];
      const double scale = first_ ? 1.0 : std::sqrt(1.0 - std::exp(2.0 * log_a));
      state_[at(c)] = std::exp(log_a) * state_[at(c)] + scale * entering;
      y[at(c)] = gelu_tanh(y[at(c)]) * state_[at(c)];
    }
    first_ = false;
    return product("mixer.linear_out", y);
  }

 private:
  [[nodiscard]] Vector product(const std::string& name, const Vector& x) const {
    Vector y = w_.linear(name, x);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += w_.at(name + ".bias", i);
    return y;
  }

  Vector convolve(const Vector& now) {
    history_.push_back(now);
    Vector out;
    for (int c = 0; c < c_.channels; ++c) {
      double sum = w_.at("mixer.conv_1d.bias", at(c));
      for (int k = 0; k < c_.conv_kernel; ++k) {
        sum += w_.at("mixer.conv_1d.weight", at(c * c_.conv_kernel + k)) * history_[at(k)][at(c)];
      }
      out.push_back(sum);
    }
    history_.erase(history_.begin());
    return out;
  }

  /// Output `channel` of a block-diagonal gate: a row of inputs times its head's matrix.
  [[nodiscard]] double gate(const std::string& name, const Vector& u, int channel) const {
    const std::string prefix = "mixer.rg_lru." + name + "_gate_";
    const int width = c_.channels / c_.heads;
    const int first = channel / width * width;
    double sum = w_.at(prefix + "bias", at(channel));
    for (int i = 0; i < width; ++i) {
      sum += u[at(first + i)] * w_.at(prefix + "weight", at((first + i) * width + channel - first));
    }
    return sum;
  }

  RgLruConfig c_;
  const RandomCheckpoint& w_;
  Vector state_;
  std::vector<Vector> history_;
  bool first_ = true;
};

}  // namespace

TEST_CASE("the recurrent block is its formula in every shape, however a prompt is cut") {
  const RgLruConfig configs[] = {
      {.hidden_size = 20, .channels = 36, .heads = 3, .conv_kernel = 2},
      {.hidden_size = 18, .channels = 25, .heads = 5, .conv_kernel = 3},
      {.hidden_size = 16, .channels = 70, .heads = 1, .conv_kernel = 5},
      {.hidden_size = 24, .channels = 8, .heads = 4, .conv_kernel = 1},
  };
  for (const RgLruConfig& config : configs) {
    CAPTURE(config.channels, config.heads, config.conv_kernel);
    RandomCheckpoint weights;
    fill(weights, config);
    test::check_formula<RgLruMixer>(config, weights.folder(), Reference(config, weights));
    test::check_cuts<RgLruMixer>(config, weights.folder());
  }
}
