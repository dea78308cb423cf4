#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>

#include "models/layers/gated_delta_net.h"
#include "models/layers/kimi_delta_attention.h"
#include "tests/models/layers/delta_reference.h"
#include "tests/models/layers/mixer_checks.h"

using namespace krait;

// The mixers of the delta rule against the written-out formulas in double, for dimensions that no fixture has, and cut
// anywhere against whole, bit for bit.

namespace {

using namespace test::delta;
using test::RandomCheckpoint;

void append(Vector& to, const Vector& from, int first, int count) {
  to.insert(to.end(), from.begin() + first, from.begin() + first + count);
}

Vector concat(std::initializer_list<Vector> parts) {
  Vector all;
  for (const Vector& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// A mixer's configuration, the tensors that it expects under "mixer", and what they mean.
template <typename Config>
struct Case {
  Config config;
  Sizes sizes;
  std::shared_ptr<RandomCheckpoint> weights = std::make_shared<RandomCheckpoint>();
  std::function<Projected(const Vector&)> project;
};

using GdnCase = Case<GatedDeltaNetConfig>;
using KdaCase = Case<KimiDeltaAttentionConfig>;

Sizes sizes_of(const GatedDeltaNetConfig& c) {
  const bool separate = c.layout == GatedDeltaNetConfig::Layout::kSeparate;
  Sizes s{.key_heads = c.key_heads,
          .value_heads = c.value_heads,
          .key_dim = c.key_dim,
          .value_dim = c.value_dim,
          .kernel = c.conv_kernel,
          .beta_scale = static_cast<double>(c.beta_scale),
          .norm_eps = static_cast<double>(c.norm_eps),
          .silu_gate = true,
          .norm = separate ? "mixer.o_norm.weight" : "mixer.norm.weight",
          .output = separate ? "mixer.o_proj" : "mixer.out_proj",
          .convolutions = {"mixer.conv1d.weight"}};
  if (separate) s.convolutions = {"mixer.q_conv1d.weight", "mixer.k_conv1d.weight", "mixer.v_conv1d.weight"};
  return s;
}

/// One decay a value head, the same for all its key channels.
Vector scalar_decays(const RandomCheckpoint& w, const Sizes& s, const Vector& a) {
  Vector g;
  for (int h = 0; h < s.value_heads; ++h) {
    const double rate = -std::exp(w.at("mixer.A_log", at(h)));
    for (int i = 0; i < s.key_dim; ++i) g.push_back(rate * softplus(a[at(h)] + w.at("mixer.dt_bias", at(h))));
  }
  return g;
}

/// [q | k | v | z] and [b | a] of each key head, one key head after another.
Projected project_by_key_head(const RandomCheckpoint& w, const Sizes& s, const Vector& x) {
  const Vector qkvz = w.linear("mixer.in_proj_qkvz", x);
  const Vector ba = w.linear("mixer.in_proj_ba", x);
  const int shared = s.value_heads / s.key_heads;
  const int value = shared * s.value_dim;
  Vector q, k, v, z, b, a;
  for (int h = 0; h < s.key_heads; ++h) {
    const int first = h * (2 * s.key_dim + 2 * value);
    append(q, qkvz, first, s.key_dim);
    append(k, qkvz, first + s.key_dim, s.key_dim);
    append(v, qkvz, first + 2 * s.key_dim, value);
    append(z, qkvz, first + 2 * s.key_dim + value, value);
    append(b, ba, h * 2 * shared, shared);
    append(a, ba, h * 2 * shared + shared, shared);
  }
  return {.qkv = concat({q, k, v}), .z = z, .beta = b, .decay = scalar_decays(w, s, a)};
}

Projected project_merged(const RandomCheckpoint& w, const Sizes& s, const Vector& x) {
  return {.qkv = w.linear("mixer.in_proj_qkv", x),
          .z = w.linear("mixer.in_proj_z", x),
          .beta = w.linear("mixer.in_proj_b", x),
          .decay = scalar_decays(w, s, w.linear("mixer.in_proj_a", x))};
}

Projected project_separate(const RandomCheckpoint& w, const Sizes& s, const Vector& x) {
  return {.qkv = concat({w.linear("mixer.q_proj", x), w.linear("mixer.k_proj", x), w.linear("mixer.v_proj", x)}),
          .z = w.linear("mixer.g_proj", x),
          .beta = w.linear("mixer.b_proj", x),
          .decay = scalar_decays(w, s, w.linear("mixer.a_proj", x))};
}

void add_convolutions(RandomCheckpoint& w, const Sizes& s) {
  if (s.convolutions.size() == 1) {
    w.add(s.convolutions[0], {s.channels(), 1, s.kernel});
    return;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    w.add(s.convolutions[i], {i < 2 ? s.key_size() : s.value_heads * s.value_dim, 1, s.kernel});
  }
}

GdnCase gdn_case(const GatedDeltaNetConfig& c) {
  GdnCase made{.config = c, .sizes = sizes_of(c), .project = {}};
  RandomCheckpoint& w = *made.weights;
  const Sizes& s = made.sizes;
  const int value = s.value_heads * s.value_dim;
  const auto bind = [&](auto function) {
    made.project = [weights = made.weights, s, function](const Vector& x) { return function(*weights, s, x); };
  };
  switch (c.layout) {
    case GatedDeltaNetConfig::Layout::kByKeyHead:
      w.add_linear("mixer.in_proj_qkvz", s.channels() + value, c.hidden_size);
      w.add_linear("mixer.in_proj_ba", 2 * s.value_heads, c.hidden_size);
      bind(project_by_key_head);
      break;
    case GatedDeltaNetConfig::Layout::kMerged:
      w.add_linear("mixer.in_proj_qkv", s.channels(), c.hidden_size);
      w.add_linear("mixer.in_proj_z", value, c.hidden_size);
      for (const char* name : {"mixer.in_proj_b", "mixer.in_proj_a"}) w.add_linear(name, s.value_heads, c.hidden_size);
      bind(project_merged);
      break;
    case GatedDeltaNetConfig::Layout::kSeparate:
      for (const char* name : {"mixer.q_proj", "mixer.k_proj"}) w.add_linear(name, s.key_size(), c.hidden_size);
      for (const char* name : {"mixer.v_proj", "mixer.g_proj"}) w.add_linear(name, value, c.hidden_size);
      for (const char* name : {"mixer.b_proj", "mixer.a_proj"}) w.add_linear(name, s.value_heads, c.hidden_size);
      bind(project_separate);
      break;
  }
  add_convolutions(w, s);
  w.add("mixer.A_log", {s.value_heads}, -1.0F, 1.0F);
  w.add("mixer.dt_bias", {s.value_heads}, -3.0F, 0.0F);
  w.add(s.norm, {s.value_dim}, 0.5F, 1.5F);
  w.add_linear(s.output, c.hidden_size, value);
  w.write();
  return made;
}

KdaCase kda_case(const KimiDeltaAttentionConfig& c) {
  const Sizes s{.key_heads = c.heads,
                .value_heads = c.heads,
                .key_dim = c.head_dim,
                .value_dim = c.head_dim,
                .kernel = c.conv_kernel,
                .beta_scale = 1.0,
                .norm_eps = static_cast<double>(c.norm_eps),
                .silu_gate = false,
                .norm = "mixer.o_norm.weight",
                .output = "mixer." + c.output,
                .convolutions = {"mixer.q_conv1d.weight", "mixer.k_conv1d.weight", "mixer.v_conv1d.weight"}};
  KdaCase made{.config = c, .sizes = s, .project = {}};
  RandomCheckpoint& w = *made.weights;
  for (const char* name : {"mixer.q_proj", "mixer.k_proj", "mixer.v_proj"}) {
    w.add_linear(name, s.key_size(), c.hidden_size);
  }
  w.add_linear("mixer.b_proj", c.heads, c.hidden_size);
  for (const std::string name : {"mixer.f", "mixer.g"}) {
    if (c.low_rank) {
      w.add_linear(name + "_a_proj", c.head_dim, c.hidden_size);
      w.add_linear(name + "_b_proj", s.key_size(), c.head_dim);
    } else {
      w.add_linear(name + "_proj", s.key_size(), c.hidden_size);
    }
  }
  add_convolutions(w, s);
  w.add("mixer.A_log", c.low_rank ? std::vector<std::int64_t>{1, 1, c.heads, 1} : std::vector<std::int64_t>{c.heads},
        -1.0F, 1.0F);
  w.add("mixer.dt_bias", {s.key_size()}, -3.0F, 0.0F);
  w.add(s.norm, {c.head_dim}, 0.5F, 1.5F);
  w.add_linear(s.output, c.hidden_size, s.key_size());
  w.write();
  made.project = [weights = made.weights, c, s](const Vector& x) {
    const RandomCheckpoint& tensors = *weights;
    const auto wide = [&](const std::string& name) {
      return c.low_rank ? tensors.linear(name + "_b_proj", tensors.linear(name + "_a_proj", x))
                        : tensors.linear(name + "_proj", x);
    };
    Vector g = wide("mixer.f");
    for (int i = 0; i < s.key_size(); ++i) {
      const double a = std::exp(tensors.at("mixer.A_log", at(i / c.head_dim)));
      const double u = g[at(i)] + tensors.at("mixer.dt_bias", at(i));
      g[at(i)] = c.decay_kind == DeltaDecay::kSoftplus ? -a * softplus(u)
                                                       : static_cast<double>(c.lower_bound) * sigmoid(a * u);
    }
    return Projected{.qkv = concat({tensors.linear("mixer.q_proj", x), tensors.linear("mixer.k_proj", x),
                                    tensors.linear("mixer.v_proj", x)}),
                     .z = wide("mixer.g"),
                     .beta = tensors.linear("mixer.b_proj", x),
                     .decay = g};
  };
  return made;
}

template <typename Mixer, typename Config>
void check_case(const Case<Config>& c) {
  Reference reference(c.sizes, *c.weights, c.project);
  test::check_formula<Mixer>(c.config, c.weights->folder(), [&](const Vector& x) { return reference.token(x); });
  test::check_cuts<Mixer>(c.config, c.weights->folder());
}

}  // namespace

TEST_CASE("a gated delta net is its formula in every layout and shape, however a prompt is cut") {
  using Layout = GatedDeltaNetConfig::Layout;
  const GatedDeltaNetConfig configs[] = {{.hidden_size = 20,
                                          .key_heads = 2,
                                          .value_heads = 8,
                                          .key_dim = 6,
                                          .value_dim = 10,
                                          .conv_kernel = 3,
                                          .layout = Layout::kByKeyHead},
                                         {.hidden_size = 17,
                                          .key_heads = 3,
                                          .value_heads = 3,
                                          .key_dim = 18,
                                          .value_dim = 5,
                                          .conv_kernel = 2,
                                          .norm_eps = 1e-3F,
                                          .layout = Layout::kByKeyHead},
                                         {.hidden_size = 24,
                                          .key_heads = 3,
                                          .value_heads = 3,
                                          .key_dim = 8,
                                          .value_dim = 5,
                                          .conv_kernel = 1,
                                          .layout = Layout::kMerged},
                                         {.hidden_size = 16,
                                          .key_heads = 1,
                                          .value_heads = 4,
                                          .key_dim = 33,
                                          .value_dim = 16,
                                          .conv_kernel = 4,
                                          .layout = Layout::kMerged},
                                         {.hidden_size = 18,
                                          .key_heads = 2,
                                          .value_heads = 4,
                                          .key_dim = 7,
                                          .value_dim = 12,
                                          .conv_kernel = 3,
                                          .beta_scale = 2.0F,
                                          .norm_eps = 1e-5F,
                                          .layout = Layout::kSeparate}};
  for (const GatedDeltaNetConfig& config : configs) {
    CAPTURE(config.key_heads, config.value_heads, config.conv_kernel);
    check_case<GatedDeltaNet>(gdn_case(config));
  }
}

TEST_CASE("Kimi delta attention is its formula with both decays and ranks, however a prompt is cut") {
  const KimiDeltaAttentionConfig configs[] = {
      {.hidden_size = 20, .heads = 3, .head_dim = 10, .conv_kernel = 3, .norm_eps = 1e-5F},
      {.hidden_size = 18,
       .heads = 2,
       .head_dim = 6,
       .conv_kernel = 2,
       .low_rank = false,
       .decay_kind = DeltaDecay::kBoundedSigmoid,
       .lower_bound = -5.0F,
       .output = "dense"},
      {.hidden_size = 16, .heads = 1, .head_dim = 17, .conv_kernel = 4, .low_rank = false, .output = "dense"}};
  for (const KimiDeltaAttentionConfig& config : configs) {
    CAPTURE(config.heads, config.head_dim, config.conv_kernel);
    check_case<KimiDeltaAttention>(kda_case(config));
  }
}

TEST_CASE("key heads that do not divide the value heads are refused by the layer's name") {
  const CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const GatedDeltaNetConfig config{.hidden_size = 8, .key_heads = 3, .value_heads = 4, .key_dim = 2, .value_dim = 2};
  CHECK_THROWS_WITH(GatedDeltaNet("model.layers.0.linear_attn", config, context),
                    "layer 'model.layers.0.linear_attn': 3 key heads do not divide the number of value heads (4)");
}
