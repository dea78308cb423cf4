#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include "kernels/cpu/cpu_platform.h"
#include "models/layers/gated_delta_net.h"
#include "models/layers/kimi_delta_attention.h"
#include "models/weights/weight_loader.h"
#include "tests/models/layers/random_checkpoint.h"

using namespace krait;

// The mixers of the delta rule against the written-out formulas in double, for dimensions that no fixture has, and cut
// anywhere against whole, bit for bit.

namespace {

using Vector = std::vector<double>;
using test::RandomCheckpoint;

constexpr int kTokens = 40;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }

std::size_t at(int index) { return static_cast<std::size_t>(index); }

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

void append(Vector& to, const Vector& from, int first, int count) {
  to.insert(to.end(), from.begin() + first, from.begin() + first + count);
}

Vector concat(std::initializer_list<Vector> parts) {
  Vector all;
  for (const Vector& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// A mixer's configuration, the tensors that it expects under "mixer", and what they mean.
template <typename Mixer, typename Config>
struct Case {
  Config config;
  Sizes sizes;
  std::shared_ptr<RandomCheckpoint> weights = std::make_shared<RandomCheckpoint>();
  std::function<Projected(const Vector&)> project;
};

using GdnCase = Case<GatedDeltaNet, GatedDeltaNetConfig>;
using KdaCase = Case<KimiDeltaAttention, KimiDeltaAttentionConfig>;

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

MambaConfig with_state_dtype(DType dtype) {
  MambaConfig mamba;
  mamba.ssm_cache_dtype = dtype;
  mamba.conv_cache_dtype = dtype;
  return mamba;
}

/// The mixer with one slot of its own, which holds rubbish before the first token.
template <typename Mixer, typename Config>
class Layer {
 public:
  Layer(const Case<Mixer, Config>& c, DType state_dtype)
      : platform_(CpuOptions{.threads = 2}),
        queue_(platform_.create_queue()),
        workspace_(platform_),
        hidden_(c.config.hidden_size),
        mixer_("mixer", c.config, {.platform = platform_, .mamba = with_state_dtype(state_dtype), .parallel = {}}) {
    const auto spec = std::get<MambaSpec>(mixer_.cache_specs().at(0));
    const std::size_t bytes = bytes_per_request(spec);
    memory_.assign(2 * bytes + kStateAlignment, std::byte{0xff});
    auto* base = memory_.data();
    base += (kStateAlignment - reinterpret_cast<std::uintptr_t>(base) % kStateAlignment) % kStateAlignment;
    mixer_.bind_backend(0, mixer_.get_attn_backend(0));
    mixer_.set_cache_group(0, 0);
    mixer_.bind_cache(0, StateCacheView{.conv = base + state_tensor_offset(spec, 0),
                                        .recurrent = base + state_tensor_offset(spec, 1),
                                        .slot_stride = bytes,
                                        .conv_dtype = state_dtype,
                                        .recurrent_dtype = state_dtype});
    const Checkpoint checkpoint(c.weights->folder());
    WeightLoader loader(checkpoint, platform_, DType::kFloat32);
    mixer_.load(loader);
    CHECK_NOTHROW(loader.finish());
  }

  /// Tokens [begin, end) of the one request, in slot 1.
  std::vector<float> run(const std::vector<float>& x, int begin, int end, bool decode) {
    BatchLayout batch;
    (decode ? batch.num_decodes : batch.num_prefills) = 1;
    (decode ? batch.num_decode_tokens : batch.num_prefill_tokens) = end - begin;
    batch.query_start_loc = {0, end - begin};
    batch.num_computed_tokens = {begin};
    batch.seq_lens = {end};
    batch.state_read = {1};
    batch.state_write = {1};
    std::vector<std::unique_ptr<LayerMetadata>> metadata;
    metadata.push_back(MambaMetadataBuilder().build(batch));
    ForwardContext context{.ops = queue_->ops(), .workspace = workspace_, .batch = batch, .group_metadata = metadata};
    std::vector<float> in(x.begin() + std::ptrdiff_t{begin} * hidden_, x.begin() + std::ptrdiff_t{end} * hidden_);
    std::vector<float> out(in.size());
    const Shape shape{end - begin, hidden_};
    mixer_.forward(context, TensorView(in.data(), DType::kFloat32, shape),
                   {.into = TensorView(out.data(), DType::kFloat32, shape), .accumulate = false});
    return out;
  }

 private:
  CpuPlatform platform_;
  std::unique_ptr<Queue> queue_;
  Workspace workspace_;
  int hidden_;
  Mixer mixer_;
  std::vector<std::byte> memory_;
};

template <typename Mixer, typename Config>
void check_case(const Case<Mixer, Config>& c) {
  const int hidden = c.config.hidden_size;
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
  std::vector<float> x;
  for (int i = 0; i < kTokens * hidden; ++i) x.push_back(uniform(random));

  const std::vector<float> whole = Layer(c, DType::kFloat32).run(x, 0, kTokens, false);
  Reference reference(c.sizes, *c.weights, c.project);
  double worst = 0.0;
  for (int t = 0; t < kTokens; ++t) {
    const Vector expected = reference.token({x.begin() + t * hidden, x.begin() + (t + 1) * hidden});
    for (std::size_t i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(whole[at(t * hidden) + i]) - expected[i]));
    }
  }
  CHECK(worst < 2e-5);

  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    const std::vector<float> at_once = Layer(c, dtype).run(x, 0, kTokens, false);
    Layer layer(c, dtype);
    std::vector<float> pieces;
    for (int begin = 0; begin < kTokens;) {
      const bool decode = begin > 25;
      const int end = decode ? begin + 1 : std::min(kTokens, begin + std::uniform_int_distribution(1, 6)(random));
      const auto piece = layer.run(x, begin, end, decode);
      pieces.insert(pieces.end(), piece.begin(), piece.end());
      begin = end;
    }
    CHECK(pieces == at_once);
  }
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
                                          .conv_kernel = 2,
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
    check_case(gdn_case(config));
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
    check_case(kda_case(config));
  }
}

TEST_CASE("key heads that do not divide the value heads are refused by the layer's name") {
  const CpuPlatform platform(CpuOptions{.threads = 1});
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const GatedDeltaNetConfig config{.hidden_size = 8, .key_heads = 3, .value_heads = 4, .key_dim = 2, .value_dim = 2};
  CHECK_THROWS_WITH(GatedDeltaNet("model.layers.0.linear_attn", config, context),
                    "layer 'model.layers.0.linear_attn': 3 key heads do not divide the number of value heads (4)");
}
