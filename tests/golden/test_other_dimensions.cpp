#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "random_model.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;
using nlohmann::json;

// Other dimensions, switches and layer orders than the fixtures have: loaded with the tensors that the config implies,
// and the invariants of docs/design.md, section 6, kept. The layers' formulas are checked in tests/models/layers.

namespace {

struct Variation {
  std::string fixture;
  json changes;
};

const std::vector<Variation>& variations() {
  static const std::vector<Variation> all = {
      {"mamba",
       {{"intermediate_size", 90},
        {"state_size", 5},
        {"conv_kernel", 2},
        {"time_step_rank", "auto"},
        {"use_bias", false}}},
      {"mamba", {{"conv_kernel", 1}, {"use_conv_bias", false}, {"tie_word_embeddings", false}, {"hidden_size", 52}}},
      {"mamba2", {{"n_groups", 8}, {"conv_kernel", 2}, {"use_bias", true}, {"chunk_size", 5}, {"state_size", 20}}},
      {"granitemoehybrid_moe",
       {{"layer_types", nullptr},
        {"layers_block_type", {"full_attention", "linear_attention", "attention", "mamba"}},
        {"mamba_proj_bias", true},
        {"mamba_n_groups", 1},
        {"mamba_d_conv", 3},
        {"shared_intermediate_size", 0},
        {"position_embedding_type", "nope"}}},
      {"bamba",
       {{"attn_layer_indices", {0, 3}},
        {"mamba_n_heads", 4},
        {"mamba_d_head", "auto"},
        {"mamba_n_groups", 4},
        {"mamba_d_conv", 2},
        {"mamba_proj_bias", false},
        {"mamba_conv_bias", false},
        {"attention_bias", false},
        {"mlp_bias", false},
        {"num_key_value_heads", 1}}},
      {"bamba", {{"attn_layer_indices", nullptr}, {"mamba_expand", 3}, {"mamba_n_heads", 12}, {"mamba_n_groups", 3}}},
      {"falcon_h1",
       {{"mamba_d_ssm", nullptr},
        {"mamba_n_heads", 8},
        {"mamba_n_groups", 4},
        {"mamba_norm_before_gate", true},
        {"projectors_bias", false},
        {"mamba_d_conv", 3},
        {"ssm_multipliers", nullptr},
        {"mlp_multipliers", nullptr},
        {"head_dim", 20},
        {"num_key_value_heads", 4}}},
      {"falcon_h1_nonorm",
       {{"mamba_proj_bias", true}, {"projectors_bias", true}, {"mamba_n_groups", 3}, {"mamba_conv_bias", false}}},
      {"nemotron_h",
       {{"hybrid_override_pattern", "*ME-*"},
        {"mamba_num_heads", 6},
        {"n_groups", 3},
        {"conv_kernel", 7},
        {"use_bias", false},
        {"mlp_bias", true},
        {"moe_latent_size", 24},
        {"moe_intermediate_size", 20},
        {"moe_shared_expert_intermediate_size", 28},
        {"n_routed_experts", 6},
        {"n_group", 3},
        {"topk_group", 2},
        {"num_experts_per_tok", 4},
        {"norm_topk_prob", false},
        {"time_step_min", 0.01}}},
      {"zamba2",
       {{"num_mem_blocks", 3},
        {"layers_block_type", {"hybrid", "hybrid", "mamba", "hybrid", "hybrid", "hybrid"}},
        {"add_bias_linear", false},
        {"adapter_rank", 3},
        {"mamba_ngroups", 4},
        {"mamba_d_conv", 2}}},
      {"zamba2_plain",
       {{"num_mem_blocks", 2},
        {"use_mem_rope", true},
        {"num_key_value_heads", 1},
        {"hidden_act", "silu"},
        {"n_mamba_heads", 4},
        {"mamba_headdim", nullptr}}},
      {"falcon_mamba", {{"conv_kernel", 3}, {"state_size", 20}, {"time_step_rank", 7}, {"mixer_rms_eps", 1e-3}}},
      {"jamba",
       {{"num_experts", 1},
        {"attn_layer_period", 2},
        {"attn_layer_offset", 0},
        {"mamba_d_conv", 3},
        {"mamba_dt_rank", "auto"}}},
      {"jamba",
       {{"num_experts", 5},
        {"num_experts_per_tok", 3},
        {"expert_layer_period", 3},
        {"expert_layer_offset", 0},
        {"num_key_value_heads", 4},
        {"mamba_proj_bias", false},
        {"mamba_conv_bias", false},
        {"mamba_expand", 3}}},
      {"zamba",
       {{"n_mamba_heads", 4},
        {"num_key_value_heads", 4},
        {"attention_head_dim", 20},
        {"mamba_d_conv", 2},
        {"mamba_proj_bias", true},
        {"layers_block_type", {"hybrid", "mamba", "hybrid", "hybrid", "linear_attention"}}}},
      {"zamba", {{"n_mamba_heads", 1}, {"layers_block_type", nullptr}, {"num_hidden_layers", 4}, {"mamba_expand", 1}}},
      {"zamba", {{"layers_block_type", {"mamba", "mamba"}}, {"num_hidden_layers", 2}, {"hidden_act", "silu"}}},
      {"recurrent_gemma",
       {{"lru_width", 40},
        {"conv1d_width", 2},
        {"attention_bias", true},
        {"num_key_value_heads", 2},
        {"attention_window_size", 9},
        {"block_types", {"attention", "recurrent"}}}},
      {"recurrent_gemma",
       {{"num_attention_heads", 2},
        {"head_dim", 20},
        {"num_hidden_layers", 3},
        {"logits_soft_cap", 2.5},
        {"conv1d_width", 3}}},
      {"qwen3",
       {{"layer_types", {"sliding_attention", "full_attention", "sliding_attention"}},
        {"use_sliding_window", true},
        {"sliding_window", 9},
        {"num_key_value_heads", 1},
        {"attention_bias", true}}},
      {"mistral_swa", {{"sliding_window", 1}, {"num_attention_heads", 6}, {"head_dim", 20}}},
      {"lfm2",
       {{"conv_L_cache", 2},
        {"hidden_size", 56},
        {"conv_bias", false},
        {"block_ffn_dim_multiplier", nullptr},
        {"layer_types", {"full_attention", "conv", "conv", "conv"}}}},
      {"lfm2", {{"layer_types", nullptr}, {"full_attn_idxs", {3}}, {"conv_L_cache", 5}, {"tie_embedding", false}}},
      {"lfm2_moe",
       {{"conv_L_cache", 4},
        {"num_experts", 5},
        {"num_experts_per_tok", 3},
        {"num_dense_layers", 0},
        {"use_expert_bias", false},
        {"norm_topk_prob", false},
        {"conv_bias", true}}},
      {"lfm3",
       {{"layer_types", {"sliding_attention", "conv", "sliding_attention", "full_attention", "conv"}},
        {"sliding_window", 5},
        {"conv_L_cache", 3},
        {"use_sandwich_norm", false},
        {"attention_bias", true}}},
      {"lfm3", {{"use_attention_gate", false}, {"num_attention_heads", 6}, {"conv_bias", true}}},
      {"minimax",
       {{"num_attention_heads", 6},
        {"num_key_value_heads", 3},
        {"head_dim", 20},
        {"rotary_dim", 8},
        {"num_local_experts", 3},
        {"num_hidden_layers", 3},
        {"layer_types", {"full_attention", "linear_attention", "linear_attention"}}}},
      {"minimax", {{"layer_types", nullptr}, {"attn_type_list", {0, 0, 0, 1}}, {"sliding_window", 11}}},
      {"gemma3",
       {{"layer_types", nullptr},
        {"sliding_window_pattern", 2},
        {"sliding_window", 3},
        {"attn_logit_softcapping", 5.0},
        {"final_logit_softcapping", 3.0},
        {"tie_word_embeddings", true}}},
      {"gpt_oss",
       {{"layer_types", nullptr},
        {"sliding_window", 7},
        {"num_attention_heads", 6},
        {"num_key_value_heads", 1},
        {"num_experts_per_tok", 3},
        {"swiglu_limit", 0.5},
        {"attention_bias", false}}},
      {"zaya", {{"cca_time0", 4}, {"cca_time1", 1}, {"sliding_window", 6}, {"attention_bias", true}}},
      {"zaya",
       {{"cca_time0", 1},
        {"cca_time1", 3},
        {"num_attention_heads", 6},
        {"num_key_value_heads", 1},
        {"head_dim", 24},
        {"num_experts", 3},
        {"layer_types", {"hybrid_sliding", "hybrid_sliding", "hybrid", "hybrid_sliding"}}}},
  };
  return all;
}

std::vector<std::int32_t> some_ids(int count) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back((i * 37 + i * i * 11 + 5) % 256);
  return ids;
}

}  // namespace

TEST_CASE("models of other dimensions than the fixtures' are loaded, and exact under every cut") {
  constexpr std::size_t kTokens = KRAIT_SANITIZED != 0 ? 24 : 60;
  constexpr std::size_t kFirstDecode = kTokens * 3 / 4;
  const auto ids = some_ids(kTokens);
  for (const Variation& variation : variations()) {
    CAPTURE(variation.fixture, variation.changes.dump());
    const RandomModel random(RandomModel::changed_config(variation.fixture, variation.changes));
    TinyModel model(random.folder());
    Sequence whole = model.start();
    const std::vector<Row> expected = model.run(whole, ids);
    for (const float logit : expected.back()) REQUIRE(std::isfinite(logit));
    Sequence cut = model.start();
    std::vector<Row> rows;
    for (std::size_t at = 0; at < kTokens;) {
      const bool decode = at >= kFirstDecode;
      const std::size_t end = decode ? at + 1 : std::min(at + 1 + at % 7, kFirstDecode);
      const std::vector<std::int32_t> piece(ids.begin() + static_cast<std::ptrdiff_t>(at),
                                            ids.begin() + static_cast<std::ptrdiff_t>(end));
      for (Row& row : model.run(cut, piece, decode)) rows.push_back(std::move(row));
      at = end;
    }
    CHECK(rows == expected);
    CHECK(model.state(cut) == model.state(whole));
    TinyModel::Options portable;
    portable.isa = "portable";
    portable.threads = 3;
    TinyModel other(random.folder(), portable);
    Sequence elsewhere = other.start();
    CHECK(other.run(elsewhere, ids) == expected);
  }
}
