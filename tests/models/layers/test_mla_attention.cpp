#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>

#include "kernels/cpu/cpu_platform.h"
#include "models/layers/mla_attention.h"
#include "models/layers/rope_tables.h"
#include "models/weights/weight_loader.h"
#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"

using namespace krait;

namespace {

using Vector = std::vector<double>;

constexpr int kTokens = 45;
constexpr int kBlock = 4;

struct Stored {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// The tensors of one layer called "attn", drawn at random, in a checkpoint of their own.
class Weights {
 public:
  explicit Weights(const MlaConfig& c) {
    const int q = c.heads * (c.nope_dim + c.rope_dim);
    if (c.q_lora_rank > 0) {
      add_linear("q_a_proj", c.q_lora_rank, c.hidden_size, c.bias);
      add("q_a_layernorm.weight", {c.q_lora_rank});
      add_linear("q_b_proj", q, c.q_lora_rank, false);
    } else {
      add_linear("q_proj", q, c.hidden_size, false);
    }
    add_linear("kv_a_proj_with_mqa", c.kv_lora_rank + c.rope_dim, c.hidden_size, c.bias);
    add("kv_a_layernorm.weight", {c.kv_lora_rank});
    add_linear("kv_b_proj", c.heads * (c.nope_dim + c.value_dim), c.kv_lora_rank, false);
    add_linear(c.names.o, c.hidden_size, c.heads * c.value_dim, c.output_bias);
    if (!c.names.gate.empty()) add_linear(c.names.gate, c.heads, c.hidden_size, false);
    write();
  }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }
  [[nodiscard]] bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  [[nodiscard]] const Stored& at(const std::string& name) const { return tensors_.at(name); }

  /// W x + b of a linear layer.
  [[nodiscard]] Vector linear(const std::string& name, const Vector& x) const {
    const Stored& weight = at(name + ".weight");
    Vector y;
    for (std::size_t r = 0; r < static_cast<std::size_t>(weight.shape[0]); ++r) {
      double sum = has(name + ".bias") ? static_cast<double>(at(name + ".bias").values[r]) : 0.0;
      for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(weight.values[r * x.size() + i]) * x[i];
      y.push_back(sum);
    }
    return y;
  }
  [[nodiscard]] Vector norm(const std::string& name, const Vector& x) const {
    double squares = 0.0;
    for (const double value : x) squares += value * value;
    Vector y;
    for (std::size_t i = 0; i < x.size(); ++i) {
      y.push_back(static_cast<double>(at(name + ".weight").values[i]) * x[i] /
                  std::sqrt(squares / static_cast<double>(x.size()) + 1e-6));
    }
    return y;
  }

 private:
  void add(const std::string& name, const std::vector<std::int64_t>& shape) {
    Stored stored{.shape = shape, .values = {}};
    std::int64_t elements = 1;
    for (const std::int64_t dim : shape) elements *= dim;
    std::uniform_real_distribution<float> uniform(-0.5F, 0.5F);
    for (std::int64_t i = 0; i < elements; ++i) stored.values.push_back(uniform(random_));
    tensors_[name] = std::move(stored);
  }
  void add_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs, bool bias) {
    add(name + ".weight", {outputs, inputs});
    if (bias) add(name + ".bias", {outputs});
  }
  void write() const {
    std::string header = "{";
    std::string data;
    for (const auto& [name, stored] : tensors_) {
      std::string shape;
      for (const std::int64_t dim : stored.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(dim);
      const std::size_t bytes = stored.values.size() * sizeof(float);
      header += std::string(header.size() > 1 ? "," : "") + R"("attn.)" + name + R"(": {"dtype": "F32", "shape": [)" +
                shape + R"(], "data_offsets": [)" + std::to_string(data.size()) + "," +
                std::to_string(data.size() + bytes) + "]}";
      data.append(reinterpret_cast<const char*>(stored.values.data()), bytes);
    }
    folder_.write("model.safetensors", test::safetensors_bytes(header + "}", data));
  }

  test::TempFolder folder_;
  std::mt19937 random_{7};
  std::map<std::string, Stored> tensors_;
};

/// Rotates the last rope_dim values from `first` on.
void rotate(const MlaConfig& c, Vector& x, std::size_t first, int position) {
  if (!c.rope) return;
  const int half = c.rope_dim / 2;
  for (int i = 0; i < half; ++i) {
    const double angle = position * std::pow(c.rope->theta, -2.0 * i / c.rope_dim);
    double& a = x[first + static_cast<std::size_t>(c.rope->interleaved ? 2 * i : i)];
    double& b = x[first + static_cast<std::size_t>(c.rope->interleaved ? 2 * i + 1 : i + half)];
    const double from_a = a, from_b = b;
    a = from_a * std::cos(angle) - from_b * std::sin(angle);
    b = from_b * std::cos(angle) + from_a * std::sin(angle);
  }
}

Vector part(const Vector& x, std::size_t first, int count) {
  return {x.begin() + static_cast<std::ptrdiff_t>(first), x.begin() + static_cast<std::ptrdiff_t>(first) + count};
}

/// The layer as the paper states it: keys and values of every head written out, in double.
class Reference {
 public:
  Reference(const MlaConfig& c, const Weights& weights) : c_(c), weights_(weights) {}

  Vector token(const Vector& x) {
    const int position = static_cast<int>(latents_.size());
    const Vector row = weights_.linear("kv_a_proj_with_mqa", x);
    latents_.push_back(weights_.linear("kv_b_proj", weights_.norm("kv_a_layernorm", part(row, 0, c_.kv_lora_rank))));
    Vector k_rope = part(row, static_cast<std::size_t>(c_.kv_lora_rank), c_.rope_dim);
    rotate(c_, k_rope, 0, position);
    k_ropes_.push_back(k_rope);
    const Vector q = c_.q_lora_rank > 0
                         ? weights_.linear("q_b_proj", weights_.norm("q_a_layernorm", weights_.linear("q_a_proj", x)))
                         : weights_.linear("q_proj", x);
    const Vector gates = c_.names.gate.empty() ? Vector() : weights_.linear(c_.names.gate, x);
    Vector heads;
    for (int h = 0; h < c_.heads; ++h) {
      Vector q_head = part(q, static_cast<std::size_t>(h * (c_.nope_dim + c_.rope_dim)), c_.nope_dim + c_.rope_dim);
      rotate(c_, q_head, static_cast<std::size_t>(c_.nope_dim), position);
      const double gate = gates.empty() ? 1.0 : 1.0 / (1.0 + std::exp(-gates[static_cast<std::size_t>(h)]));
      for (const double value : attend(q_head, h)) heads.push_back(gate * value);
    }
    return weights_.linear(c_.names.o, heads);
  }

 private:
  [[nodiscard]] Vector attend(const Vector& q, int head) const {
    const auto first = static_cast<std::size_t>(head * (c_.nope_dim + c_.value_dim));
    Vector result(static_cast<std::size_t>(c_.value_dim));
    double total = 0.0;
    for (std::size_t j = 0; j < latents_.size(); ++j) {
      Vector key = part(latents_[j], first, c_.nope_dim);
      key.insert(key.end(), k_ropes_[j].begin(), k_ropes_[j].end());
      double score = 0.0;
      for (std::size_t i = 0; i < q.size(); ++i) score += q[i] * key[i];
      const double weight = std::exp(static_cast<double>(c_.scale) * score);
      total += weight;
      const Vector value = part(latents_[j], first + static_cast<std::size_t>(c_.nope_dim), c_.value_dim);
      for (std::size_t i = 0; i < value.size(); ++i) result[i] += weight * value[i];
    }
    for (double& x : result) x /= total;
    return result;
  }

  const MlaConfig& c_;
  const Weights& weights_;
  std::vector<Vector> latents_;  ///< per head [k_nope | v]
  std::vector<Vector> k_ropes_;
};

/// The layer with a cache of its own.
class Layer {
 public:
  Layer(const MlaConfig& c, const Weights& weights, DType cache_dtype, DType compute = DType::kFloat32)
      : platform_(CpuOptions{.threads = 2}),
        queue_(platform_.create_queue()),
        workspace_(platform_),
        hidden_(c.hidden_size),
        layer_("attn", c, {.platform = platform_, .mamba = {}, .parallel = {}, .kv_cache_dtype = cache_dtype}) {
    const auto spec = std::get<MlaSpec>(layer_.cache_specs().at(0));
    CHECK(spec == MlaSpec{.latent_dim = c.kv_lora_rank, .rope_dim = c.rope_dim, .dtype = cache_dtype});
    const std::size_t page = kBlock * bytes_per_token(spec);
    memory_.assign(page * (kPages + 1), std::byte{0xff});
    layer_.bind_backend(0, layer_.get_attn_backend(0));
    layer_.set_cache_group(0, 0);
    layer_.bind_cache(0, KvCacheView{.base = memory_.data(),
                                     .page_stride = page,
                                     .value_offset = 0,
                                     .block_size = kBlock,
                                     .kv_heads = 1,
                                     .head_dim = spec.latent_dim + spec.rope_dim,
                                     .value_dim = spec.latent_dim,
                                     .dtype = cache_dtype});
    const Checkpoint checkpoint(weights.folder());
    WeightLoader loader(checkpoint, platform_, compute);
    layer_.load(loader, RopeTables(platform_, kTokens).get(layer_.rope()));
    CHECK_NOTHROW(loader.finish());
  }

  /// Tokens [begin, end) of the one request.
  std::vector<float> run(const std::vector<float>& x, int begin, int end) {
    BatchLayout batch;
    batch.num_prefills = 1;
    batch.num_prefill_tokens = end - begin;
    batch.query_start_loc = {0, end - begin};
    batch.num_computed_tokens = {begin};
    batch.seq_lens = {end};
    for (int p = begin; p < end; ++p) batch.positions.push_back(p);
    batch.block_tables.resize(1);
    batch.block_tables[0].max_blocks = kPages;
    for (int i = 0; i < kPages; ++i) batch.block_tables[0].pages.push_back(kPages - i);
    std::vector<std::unique_ptr<LayerMetadata>> metadata;
    metadata.push_back(AttentionMetadataBuilder(0, kBlock).build(batch));
    ForwardContext context{.ops = queue_->ops(), .workspace = workspace_, .batch = batch, .group_metadata = metadata};
    std::vector<float> in(x.begin() + std::ptrdiff_t{begin} * hidden_, x.begin() + std::ptrdiff_t{end} * hidden_);
    std::vector<float> out(in.size());
    const Shape shape{end - begin, hidden_};
    layer_.forward(context, TensorView(in.data(), DType::kFloat32, shape),
                   {.into = TensorView(out.data(), DType::kFloat32, shape), .accumulate = false});
    return out;
  }

 private:
  static constexpr int kPages = (kTokens + kBlock - 1) / kBlock;
  CpuPlatform platform_;
  std::unique_ptr<Queue> queue_;
  Workspace workspace_;
  int hidden_;
  MlaAttention layer_;
  std::vector<std::byte> memory_;
};

std::vector<MlaConfig> cases() {
  MlaConfig plain{
      .hidden_size = 24, .heads = 3, .kv_lora_rank = 20, .nope_dim = 10, .rope_dim = 6, .value_dim = 7, .scale = 0.25F};
  MlaConfig lora = plain;
  lora.q_lora_rank = 9;
  lora.rope = RopeConfig{.rotary_dim = 6, .interleaved = true};
  lora.bias = lora.output_bias = true;
  MlaConfig gated = plain;
  gated.heads = 18;
  gated.rope = RopeConfig{.theta = 100.0, .rotary_dim = 6};
  gated.names = {.o = "dense", .gate = "g_proj"};
  return {plain, lora, gated};
}

}  // namespace

TEST_CASE("latent attention is the attention of its written-out keys and values, however a prompt is cut") {
  for (const MlaConfig& c : cases()) {
    CAPTURE(c.heads, c.q_lora_rank, c.names.o);
    const Weights weights(c);
    std::mt19937 random(3);
    std::uniform_real_distribution<float> uniform(-2.0F, 2.0F);
    std::vector<float> x;
    for (int i = 0; i < kTokens * c.hidden_size; ++i) x.push_back(uniform(random));

    const std::vector<float> whole = Layer(c, weights, DType::kFloat32).run(x, 0, kTokens);
    Reference reference(c, weights);
    double worst = 0.0;
    for (int t = 0; t < kTokens; ++t) {
      const auto first = static_cast<std::size_t>(t * c.hidden_size);
      const Vector expected = reference.token({x.begin() + t * c.hidden_size, x.begin() + (t + 1) * c.hidden_size});
      for (std::size_t i = 0; i < expected.size(); ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(whole[first + i]) - expected[i]));
      }
    }
    CHECK(worst < 1e-5);

    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      const std::vector<float> at_once = Layer(c, weights, dtype, dtype).run(x, 0, kTokens);
      Layer layer(c, weights, dtype, dtype);
      std::vector<float> pieces;
      for (int begin = 0; begin < kTokens;) {
        const int end = begin > 30 ? begin + 1 : std::min(kTokens, begin + std::uniform_int_distribution(1, 9)(random));
        const auto piece = layer.run(x, begin, end);
        pieces.insert(pieces.end(), piece.begin(), piece.end());
        begin = end;
      }
      CHECK(pieces == at_once);
      // Rounding rows and cache changes little.
      for (std::size_t i = 0; i < pieces.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(pieces[i] - whole[i])));
      CHECK(worst < (dtype == DType::kFloat32 ? 1e-5 : 0.1));
    }
  }
}
