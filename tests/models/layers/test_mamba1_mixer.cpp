#include <catch2/catch.hpp>
#include <cmath>

#include "models/layers/mamba1_mixer.h"
#include "tests/models/layers/mixer_checks.h"
#include "tests/models/layers/random_checkpoint.h"

using namespace krait;

// The Mamba-1 mixer against the written-out formula in double, for dimensions that no fixture has.

namespace {

using Vector = std::vector<double>;
using test::RandomCheckpoint;

std::size_t at(int index) { return static_cast<std::size_t>(index); }
double silu(double x) { return x / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }

/// `x_proj.weight`, or `x_proj_weight` in Zamba's form.
std::string parameter(const Mamba1Config& c, const std::string& name, const std::string& what) {
  return "mixer." + name + (c.stacked_heads ? "_" : ".") + what;
}

void fill(RandomCheckpoint& w, const Mamba1Config& c) {
  const std::int64_t width = c.channels / c.heads;
  const auto stacked = [&](std::vector<std::int64_t> shape) {
    if (c.stacked_heads) shape.insert(shape.begin(), c.heads);
    return shape;
  };
  w.add_linear("mixer.in_proj", 2 * c.channels, c.hidden_size);
  w.add_linear("mixer.out_proj", c.hidden_size, c.channels);
  if (c.proj_bias) w.add("mixer.in_proj.bias", {2 * c.channels});
  if (c.proj_bias) w.add("mixer.out_proj.bias", {c.hidden_size});
  w.add("mixer.conv1d.weight", {c.channels, 1, c.conv_kernel});
  if (c.conv_bias) w.add("mixer.conv1d.bias", {c.channels});
  w.add(parameter(c, "x_proj", "weight"), stacked({c.dt_rank + 2 * c.state_size, width}));
  w.add(parameter(c, "dt_proj", "weight"), stacked({width, c.dt_rank}));
  w.add(parameter(c, "dt_proj", "bias"), stacked({width}), -3.0F, 0.0F);
  w.add("mixer.A_log", stacked({width, c.state_size}), -1.0F, 2.0F);
  w.add("mixer.D", stacked({width}));
  if (c.norm == Mamba1Norm::kWeighted) {
    w.add("mixer.dt_layernorm.weight", {c.dt_rank}, 0.5F, 1.5F);
    w.add("mixer.b_layernorm.weight", {c.state_size}, 0.5F, 1.5F);
    w.add("mixer.c_layernorm.weight", {c.state_size}, 0.5F, 1.5F);
  }
  w.write();
}

class Reference {
 public:
  Reference(const Mamba1Config& config, const RandomCheckpoint& weights) : c_(config), w_(weights) {
    state_.assign(at(c_.channels * c_.state_size), 0.0);
    history_.assign(at(c_.conv_kernel - 1), Vector(at(c_.channels)));
  }

  Vector operator()(const Vector& input) {
    const Vector in = product("mixer.in_proj", input);
    Vector x;
    Vector z;
    for (int i = 0; i < c_.channels; ++i) {
      x.push_back(in[at(c_.stacked_heads ? 2 * i : i)]);
      z.push_back(in[at(c_.stacked_heads ? 2 * i + 1 : c_.channels + i)]);
    }
    const Vector u = convolve(x);
    Vector y;
    for (int head = 0; head < c_.heads; ++head) scan(u, head, y);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= silu(z[i]);
    return product("mixer.out_proj", y);
  }

 private:
  [[nodiscard]] Vector product(const std::string& name, const Vector& x) const {
    Vector y = w_.linear(name, x);
    for (std::size_t i = 0; c_.proj_bias && i < y.size(); ++i) y[i] += w_.at(name + ".bias", i);
    return y;
  }

  Vector convolve(const Vector& now) {
    history_.push_back(now);
    Vector out;
    for (int c = 0; c < c_.channels; ++c) {
      double sum = c_.conv_bias ? w_.at("mixer.conv1d.bias", at(c)) : 0.0;
      for (int k = 0; k < c_.conv_kernel; ++k) {
        sum += w_.at("mixer.conv1d.weight", at(c * c_.conv_kernel + k)) * history_[at(k)][at(c)];
      }
      out.push_back(silu(sum));
    }
    history_.erase(history_.begin());
    return out;
  }

  [[nodiscard]] Vector normed(Vector x, const std::string& name) const {
    if (c_.norm == Mamba1Norm::kNone) return x;
    double squares = 0.0;
    for (const double value : x) squares += value * value;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(c_.norm_eps));
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] *= scale * (c_.norm == Mamba1Norm::kWeighted ? w_.at("mixer." + name + "_layernorm.weight", i) : 1.0);
    }
    return x;
  }

  void scan(const Vector& u, int head, Vector& y) {
    const int width = c_.channels / c_.heads;
    const int outputs = c_.dt_rank + 2 * c_.state_size;
    Vector parts[3];  // dt_r, B and C
    for (int o = 0; o < outputs; ++o) {
      double sum = 0.0;
      for (int i = 0; i < width; ++i) {
        sum += w_.at(parameter(c_, "x_proj", "weight"), at((head * outputs + o) * width + i)) * u[at(head * width + i)];
      }
      parts[o < c_.dt_rank ? 0 : (o < c_.dt_rank + c_.state_size ? 1 : 2)].push_back(sum);
    }
    const Vector dt_r = normed(parts[0], "dt");
    const Vector b = normed(parts[1], "b");
    const Vector c = normed(parts[2], "c");
    for (int i = 0; i < width; ++i) {
      const int channel = head * width + i;
      double dt = w_.at(parameter(c_, "dt_proj", "bias"), at(channel));
      for (int r = 0; r < c_.dt_rank; ++r) {
        dt += w_.at(parameter(c_, "dt_proj", "weight"), at(channel * c_.dt_rank + r)) * dt_r[at(r)];
      }
      dt = softplus(dt);
      double sum = w_.at("mixer.D", at(channel)) * u[at(channel)];
      for (int n = 0; n < c_.state_size; ++n) {
        const std::size_t element = at(channel * c_.state_size + n);
        const double decay = std::exp(-dt * std::exp(w_.at("mixer.A_log", element)));
        state_[element] = decay * state_[element] + dt * b[at(n)] * u[at(channel)];
        sum += state_[element] * c[at(n)];
      }
      y.push_back(sum);
    }
  }

  Mamba1Config c_;
  const RandomCheckpoint& w_;
  Vector state_;
  std::vector<Vector> history_;
};

}  // namespace

TEST_CASE("the Mamba-1 mixer is its formula in every form and shape, however a prompt is cut") {
  const Mamba1Config configs[] = {
      {.hidden_size = 20, .channels = 36, .state_size = 5, .dt_rank = 3, .conv_kernel = 2, .conv_bias = false},
      {.hidden_size = 12, .channels = 30, .state_size = 16, .dt_rank = 1, .conv_kernel = 1},
      {.hidden_size = 18,
       .channels = 47,
       .state_size = 16,
       .dt_rank = 7,
       .conv_kernel = 3,
       .proj_bias = true,
       .norm = Mamba1Norm::kWeighted,
       .norm_eps = 1e-3F},
      {.hidden_size = 16,
       .channels = 64,
       .state_size = 33,
       .dt_rank = 2,
       .conv_kernel = 5,
       .norm = Mamba1Norm::kWeightless,
       .norm_eps = 1e-5F},
      {.hidden_size = 20,
       .channels = 51,
       .state_size = 6,
       .dt_rank = 4,
       .conv_kernel = 3,
       .proj_bias = true,
       .heads = 3,
       .stacked_heads = true},
      {.hidden_size = 16, .channels = 140, .state_size = 8, .dt_rank = 5, .heads = 4, .stacked_heads = true},
      {.hidden_size = 14, .channels = 28, .state_size = 8, .dt_rank = 2, .heads = 1, .stacked_heads = true},
  };
  for (const Mamba1Config& config : configs) {
    CAPTURE(config.channels, config.heads, config.conv_kernel);
    RandomCheckpoint weights;
    fill(weights, config);
    test::check_formula<Mamba1Mixer>(config, weights.folder(), Reference(config, weights));
    test::check_cuts<Mamba1Mixer>(config, weights.folder());
  }
}
