#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <random>

#include "tests/models/layers/naive_mamba2.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;

// No fixture certifies PLaMo 2. Here the model is written out in double, after its published description, and compared
// over random weights.

namespace {

constexpr int kHidden = 32;
constexpr int kLayers = 4;
constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadDim = 8;
constexpr int kWindow = 6;
constexpr int kFullAttentionLayer = 3;
constexpr int kIntermediate = 40;
constexpr int kVocab = 64;
constexpr double kEps = 1e-5;
constexpr int kTokens = 50;

const char* const kConfig = R"({"architectures": ["Plamo2ForCausalLM"], "model_type": "plamo2", "hidden_size": 32,
  "num_hidden_layers": 4, "vocab_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
  "hidden_size_per_head": 8, "attention_window_size": 6, "full_attention_idx": [3], "mamba_num_heads": 3,
  "mamba_d_state": 10, "mamba_d_conv": 3, "mamba_step": 2, "mamba_chunk_size": 16, "intermediate_size": 40,
  "max_position_embeddings": 4096, "linear_type": "normal"})";

Plamo2MixerConfig mixer_config() {
  Plamo2MixerConfig config;
  config.heads = 3;
  config.head_dim = kHeadDim;
  config.state_size = 10;
  config.conv_kernel = 3;
  config.conv_bias = false;
  config.dt_max = 1e30F;
  config.hidden_size = kHidden;
  config.dt_rank = 64;
  config.norm_eps = static_cast<float>(kEps);
  return config;
}

std::string layer_name(int layer) { return "model.layers.layers." + std::to_string(layer); }
bool is_attention(int layer) { return layer % 2 == 1; }

void fill(RandomCheckpoint& weights) {
  weights.add("model.embed_tokens.weight", {kVocab, kHidden}, -1.0F, 1.0F);
  weights.add("model.norm.weight", {kHidden});
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string name = layer_name(layer);
    for (const char* norm : {".pre_mixer_norm", ".post_mixer_norm", ".pre_mlp_norm", ".post_mlp_norm"}) {
      weights.add(name + norm + ".weight", {kHidden}, -0.1F, 0.1F);
    }
    weights.add_linear(name + ".mlp.gate_up_proj", 2 * kIntermediate, kHidden);
    weights.add_linear(name + ".mlp.down_proj", kHidden, kIntermediate);
    if (is_attention(layer)) {
      weights.add_linear(name + ".mixer.qkv_proj", (kHeads + 2 * kKvHeads) * kHeadDim, kHidden);
      weights.add_linear(name + ".mixer.o_proj", kHidden, kHeads * kHeadDim);
      weights.add(name + ".mixer.q_weight", {kHeads, kHeadDim}, 0.5F, 1.5F);
      weights.add(name + ".mixer.k_weight", {kKvHeads, kHeadDim}, 0.5F, 1.5F);
    } else {
      add_plamo2_mixer(weights, name + ".mixer", mixer_config());
    }
  }
  weights.write();
}

/// (offset + w) * x / rms(x)
Vector norm(const RandomCheckpoint& weights, const std::string& name, double offset, Vector x) {
  norm_groups(x, 1, kEps);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= offset + weights.at(name + ".weight", i);
  return x;
}

void add(Vector& into, const Vector& x) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += x[i];
}

class NaiveAttention {
 public:
  NaiveAttention(const RandomCheckpoint& weights, std::string name, int window)
      : weights_(weights), name_(std::move(name)), window_(window) {}

  Vector operator()(const Vector& input) {
    const int position = static_cast<int>(keys_.size());
    const Vector qkv = weights_.linear(name_ + ".qkv_proj", input);
    const Vector q = rotated(part(qkv, 0, kHeads * kHeadDim), "q", position);
    keys_.push_back(rotated(part(qkv, kHeads * kHeadDim, kKvHeads * kHeadDim), "k", position));
    values_.push_back(part(qkv, (kHeads + kKvHeads) * kHeadDim, kKvHeads * kHeadDim));
    Vector out;
    for (int h = 0; h < kHeads; ++h) {
      const Vector head = attend(part(q, h * kHeadDim, kHeadDim), h / (kHeads / kKvHeads) * kHeadDim, position);
      out.insert(out.end(), head.begin(), head.end());
    }
    return weights_.linear(name_ + ".o_proj", out);
  }

 private:
  /// Norms each head with its own weight, and rotates it.
  Vector rotated(Vector x, const std::string& which, int position) const {
    norm_groups(x, static_cast<int>(x.size()) / kHeadDim, 1e-6);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= weights_.at(name_ + "." + which + "_weight", i);
    for (int first = 0; first < static_cast<int>(x.size()); first += kHeadDim) {
      for (int i = 0; i < kHeadDim / 2; ++i) {
        const double angle = position * std::pow(10000.0, -2.0 * i / kHeadDim);
        double& a = x[at(first + i)];
        double& b = x[at(first + i + kHeadDim / 2)];
        const Vector pair{a * std::cos(angle) - b * std::sin(angle), b * std::cos(angle) + a * std::sin(angle)};
        a = pair[0];
        b = pair[1];
      }
    }
    return x;
  }

  [[nodiscard]] Vector attend(const Vector& q, int column, int position) const {
    Vector out(at(kHeadDim), 0.0);
    double total = 0.0;
    for (int j = window_ == 0 ? 0 : std::max(0, position - window_); j <= position; ++j) {
      double dot = 0.0;
      for (int i = 0; i < kHeadDim; ++i) dot += q[at(i)] * keys_[at(j)][at(column + i)];
      const double weight = std::exp(dot / std::sqrt(kHeadDim));
      total += weight;
      for (int i = 0; i < kHeadDim; ++i) out[at(i)] += weight * values_[at(j)][at(column + i)];
    }
    for (double& value : out) value /= total;
    return out;
  }

  const RandomCheckpoint& weights_;
  std::string name_;
  int window_;  ///< that many before the token itself; 0: all
  std::vector<Vector> keys_;
  std::vector<Vector> values_;
};

class NaiveModel {
 public:
  explicit NaiveModel(const RandomCheckpoint& weights) : weights_(weights) {
    for (int layer = 0; layer < kLayers; ++layer) {
      const std::string name = layer_name(layer) + ".mixer";
      if (is_attention(layer)) {
        mixers_.emplace_back(NaiveAttention(weights, name, layer == kFullAttentionLayer ? 0 : kWindow));
      } else {
        mixers_.emplace_back(NaivePlamo2(mixer_config(), weights, name));
      }
    }
  }

  Vector logits(std::int32_t token) {
    Vector h;
    for (int i = 0; i < kHidden; ++i) h.push_back(weights_.at("model.embed_tokens.weight", at(token * kHidden + i)));
    for (int layer = 0; layer < kLayers; ++layer) {
      const std::string name = layer_name(layer);
      add(h, norm(weights_, name + ".post_mixer_norm", 0.2,
                  mixers_[at(layer)](norm(weights_, name + ".pre_mixer_norm", 1.0, h))));
      add(h, norm(weights_, name + ".post_mlp_norm", std::pow(5.0, -1.5),
                  mlp(name + ".mlp", norm(weights_, name + ".pre_mlp_norm", 1.0, h))));
    }
    return weights_.linear("model.embed_tokens", norm(weights_, "model.norm", 1.0, h));
  }

 private:
  [[nodiscard]] Vector mlp(const std::string& name, const Vector& x) const {
    const Vector gate_up = weights_.linear(name + ".gate_up_proj", x);
    Vector inner;
    for (int i = 0; i < kIntermediate; ++i) inner.push_back(silu(gate_up[at(i)]) * gate_up[at(kIntermediate + i)]);
    return weights_.linear(name + ".down_proj", inner);
  }

  const RandomCheckpoint& weights_;
  std::vector<std::function<Vector(const Vector&)>> mixers_;
};

}  // namespace

TEST_CASE("PLaMo 2 is what its description says, in one piece, in pieces and decoded") {
  RandomCheckpoint weights;
  fill(weights);
  std::ofstream(weights.folder() + "/config.json") << kConfig;
  TinyModel model(weights.folder());
  std::mt19937 random(2);
  std::vector<std::int32_t> ids;
  for (int t = 0; t < kTokens; ++t) ids.push_back(std::uniform_int_distribution<std::int32_t>(0, kVocab - 1)(random));

  Sequence whole = model.start();
  const std::vector<Row> rows = model.run(whole, ids);
  NaiveModel naive(weights);
  double worst = 0.0;
  for (int t = 0; t < kTokens; ++t) {
    const Vector expected = naive.logits(ids[at(t)]);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(rows[at(t)][i]) - expected[i]));
    }
  }
  CHECK(worst < 1e-4);

  Sequence cut = model.start();
  std::vector<Row> pieces;
  for (int begin = 0, size = 1; begin < kTokens; begin += size, size = begin < 30 ? size + 3 : 1) {
    const int end = std::min(kTokens, begin + size);
    const bool decode = begin >= 30;
    for (Row& row : model.run(cut, {ids.begin() + begin, ids.begin() + end}, decode)) pieces.push_back(std::move(row));
    if (end == kTokens) break;
  }
  CHECK(pieces == rows);
  CHECK(model.state(cut) == model.state(whole));
}
