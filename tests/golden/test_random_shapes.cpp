#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "random_model.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;
using nlohmann::json;

// Of each mixer, on random shapes: one prefill, random pieces and single decode steps leave the same states and
// outputs.

namespace {

#if KRAIT_SANITIZED
constexpr int kShapes = 6;
#else
constexpr int kShapes = 100;
#endif

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : generator_(seed) {}
  int roll(int least, int most) { return std::uniform_int_distribution<int>(least, most)(generator_); }
  bool coin() { return roll(0, 1) == 1; }
  int even(int least, int most) { return 2 * roll((least + 1) / 2, most / 2); }

 private:
  std::mt19937 generator_;
};

/// A mixer in the smallest model that has it.
struct MixerCase {
  const char* mixer;
  const char* fixture;
  std::function<json(Dice&)> changes;
};

json mamba1(Dice& dice) {
  const int hidden = dice.roll(4, 40);
  const int expand = dice.roll(1, 2);
  return {{"hidden_size", hidden},
          {"expand", expand},
          {"intermediate_size", expand * hidden},
          {"state_size", dice.roll(1, 20)},
          {"conv_kernel", dice.roll(1, 5)},
          {"time_step_rank", dice.roll(1, 6)},
          {"use_bias", dice.coin()},
          {"use_conv_bias", dice.coin()},
          {"num_hidden_layers", 1}};
}

json mamba1_heads(Dice& dice) {
  const int heads = dice.roll(1, 3);
  const int hidden = heads * dice.even(2, 12);
  return {{"hidden_size", hidden},
          {"n_mamba_heads", heads},
          {"mamba_expand", 2},
          {"mamba_d_state", dice.roll(1, 20)},
          {"mamba_d_conv", dice.roll(2, 5)},
          {"mamba_dt_rank", dice.roll(1, 6)},
          {"intermediate_size", dice.roll(4, 30)},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 2},
          {"attention_hidden_size", 2 * hidden},
          {"attention_head_dim", hidden}};
}

json mamba2(Dice& dice) {
  const int groups = dice.roll(1, 3);
  const int heads = groups * dice.roll(1, 3);
  const int head_dim = dice.even(2, 20);
  return {{"hidden_size", heads * head_dim / 2},
          {"expand", 2},
          {"num_heads", heads},
          {"head_dim", head_dim},
          {"n_groups", groups},
          {"state_size", dice.roll(1, 40)},
          {"conv_kernel", dice.roll(1, 5)},
          {"chunk_size", dice.roll(1, 16)},
          {"use_bias", dice.coin()},
          {"use_conv_bias", dice.coin()},
          {"num_hidden_layers", 1}};
}

json short_conv(Dice& dice) {
  const int heads = dice.roll(1, 3);
  return {{"hidden_size", heads * dice.even(2, 16)},
          {"num_attention_heads", heads},
          {"num_key_value_heads", 1},
          {"conv_L_cache", dice.roll(2, 6)},
          {"conv_bias", dice.coin()},
          {"layer_types", {"conv"}},
          {"num_hidden_layers", 1}};
}

json linear_attention(Dice& dice) {
  const int heads = dice.roll(1, 4);
  return {
      {"hidden_size", dice.roll(4, 40)}, {"num_attention_heads", heads},          {"num_key_value_heads", 1},
      {"head_dim", dice.even(2, 36)},    {"intermediate_size", dice.roll(4, 20)}, {"layer_types", {"linear_attention"}},
      {"num_hidden_layers", 1}};
}

json gdn_attention(Dice& dice) {
  const int key_heads = dice.roll(1, 3);
  return {{"hidden_size", dice.roll(4, 40)},
          {"linear_num_key_heads", key_heads},
          {"linear_num_value_heads", key_heads * dice.roll(1, 4)},
          {"linear_key_head_dim", dice.roll(1, 40)},
          {"linear_value_head_dim", dice.roll(1, 40)},
          {"linear_conv_kernel_dim", dice.roll(2, 5)},
          {"intermediate_size", dice.roll(4, 20)},
          {"layer_types", {"linear_attention"}},
          {"num_hidden_layers", 1}};
}

json kda_attention(Dice& dice) {
  return {{"hidden_size", dice.roll(4, 40)},
          {"linear_attn_config",
           {{"full_attn_layers", json::array()},
            {"kda_layers", {1}},
            {"num_heads", dice.roll(1, 4)},
            {"head_dim", dice.roll(1, 40)},
            {"short_conv_kernel_size", dice.roll(2, 5)}}},
          {"intermediate_size", dice.roll(4, 20)},
          {"num_hidden_layers", 1}};
}

json rg_lru(Dice& dice) {
  const int heads = dice.roll(1, 4);
  return {{"hidden_size", heads * dice.even(2, 12)},
          {"lru_width", heads * dice.roll(1, 20)},
          {"num_attention_heads", heads},
          {"head_dim", 4},
          {"conv1d_width", dice.roll(2, 5)},
          {"intermediate_size", dice.even(4, 40)},
          {"block_types", {"recurrent"}},
          {"num_hidden_layers", 1}};
}

json grouped_attention(Dice& dice) {
  const int kv_heads = dice.roll(1, 3);
  return {{"hidden_size", dice.roll(4, 40)},
          {"num_key_value_heads", kv_heads},
          {"num_attention_heads", kv_heads * dice.roll(1, 4)},
          {"head_dim", dice.even(2, 40)},
          {"intermediate_size", dice.roll(4, 20)},
          {"layer_types", {"full_attention"}},
          {"num_hidden_layers", 1}};
}

json sliding_attention(Dice& dice) {
  const int kv_heads = dice.roll(1, 3);
  return {{"hidden_size", dice.roll(4, 40)},
          {"num_key_value_heads", kv_heads},
          {"num_attention_heads", kv_heads * dice.roll(1, 4)},
          {"head_dim", dice.even(2, 40)},
          {"sliding_window", dice.roll(1, 40)},
          {"intermediate_size", dice.roll(4, 20)},
          {"num_hidden_layers", 1}};
}

json latent_attention(Dice& dice) {
  const int heads = dice.roll(1, 4);
  const int nope = dice.roll(1, 24);
  const int rope = dice.even(2, 16);
  json changes = {{"hidden_size", dice.roll(4, 40)}, {"num_attention_heads", heads},
                  {"num_key_value_heads", heads},    {"kv_lora_rank", dice.roll(1, 40)},
                  {"qk_nope_head_dim", nope},        {"qk_rope_head_dim", rope},
                  {"qk_head_dim", nope + rope},      {"head_dim", rope},
                  {"v_head_dim", dice.roll(1, 24)},  {"intermediate_size", dice.roll(4, 20)},
                  {"num_hidden_layers", 1}};
  if (dice.coin()) {
    changes["q_lora_rank"] = nullptr;
  } else {
    changes["q_lora_rank"] = dice.roll(1, 24);
  }
  return changes;
}

json convolved_attention(Dice& dice) {
  const int kv_heads = 2 * dice.roll(1, 2);
  return {{"hidden_size", dice.roll(4, 40)},
          {"num_key_value_heads", kv_heads},
          {"num_attention_heads", kv_heads * dice.roll(1, 3)},
          {"head_dim", 4 * dice.roll(1, 6)},
          {"cca_time0", dice.roll(1, 4)},
          {"cca_time1", dice.roll(1, 4)},
          {"router_hidden_size", dice.roll(2, 10)},
          {"moe_intermediate_size", dice.roll(4, 20)},
          {"layer_types", {dice.coin() ? "hybrid" : "hybrid_sliding"}},
          {"num_hidden_layers", 1}};
}

const MixerCase kMixers[] = {
    {"mamba1", "mamba", mamba1},
    {"mamba1 with heads", "zamba", mamba1_heads},
    {"mamba2", "mamba2", mamba2},
    {"short_conv", "lfm2", short_conv},
    {"linear_attention", "minimax", linear_attention},
    {"gdn_attention", "qwen3_5", gdn_attention},
    {"kda_attention", "kimi_linear", kda_attention},
    {"rg_lru", "recurrent_gemma", rg_lru},
    {"grouped attention", "qwen3", grouped_attention},
    {"sliding attention", "mistral_swa", sliding_attention},
    {"latent attention", "deepseek_v3", latent_attention},
    {"convolved attention", "zaya", convolved_attention},
};

struct Outcome {
  std::vector<Row> rows;
  std::vector<std::byte> state;
  bool operator==(const Outcome&) const = default;
};

/// Runs `ids` in pieces of the given lengths; a piece of one token after the first is a decode.
Outcome run_pieces(TinyModel& model, const std::vector<std::int32_t>& ids, const std::function<int()>& length) {
  Sequence sequence = model.start();
  Outcome outcome;
  for (std::size_t at = 0; at < ids.size();) {
    const std::size_t count = std::min(static_cast<std::size_t>(length()), ids.size() - at);
    const std::vector<std::int32_t> piece(ids.begin() + static_cast<std::ptrdiff_t>(at),
                                          ids.begin() + static_cast<std::ptrdiff_t>(at + count));
    for (Row& row : model.run(sequence, piece, count == 1 && at > 0)) outcome.rows.push_back(std::move(row));
    at += count;
  }
  outcome.state = model.state(sequence);
  return outcome;
}

}  // namespace

TEST_CASE("prefill, pieces and decode agree on random shapes of every mixer") {
  for (const MixerCase& mixer : kMixers) {
    for (int shape = 0; shape < kShapes; ++shape) {
      const auto seed = static_cast<std::uint32_t>(1000 + shape);
      Dice dice(seed);
      const json changes = mixer.changes(dice);
      CAPTURE(mixer.mixer, shape, changes.dump());
      const RandomModel random(RandomModel::changed_config(mixer.fixture, changes));
      std::vector<std::int32_t> ids(static_cast<std::size_t>(dice.roll(2, 50)));
      for (auto& id : ids) id = dice.roll(0, 255);

      TinyModel::Options options;
      const DType dtypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};
      options.mamba.ssm_cache_dtype = dtypes[shape % 3];
      options.mamba.conv_cache_dtype = dtypes[shape / 3 % 3];
      TinyModel model(random.folder(), options);
      const Outcome whole = run_pieces(model, ids, [&] { return static_cast<int>(ids.size()); });
      for (const Row& row : whole.rows) REQUIRE(row == row);  // no NaN: it would agree with nothing
      REQUIRE(run_pieces(model, ids, [&] { return dice.roll(1, 9); }) == whole);
      REQUIRE(run_pieces(model, ids, [] { return 1; }) == whole);
    }
  }
}
