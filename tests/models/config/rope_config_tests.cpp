#include <catch2/catch.hpp>
#include <cmath>

#include "models/config/config_reader.h"
#include "models/config/rope_config.h"
#include "tests/models/config/startup_error_message.h"

using krait::ConfigReader;
using krait::RopeConfig;
using krait::RopeOptions;
using krait::RopeType;

namespace {

RopeConfig read(const std::string& text, int head_dim = 16, const RopeOptions& options = {}) {
  return krait::read_rope_config(ConfigReader::from_text(text, "config.json"), head_dim, options);
}

std::string error(const std::string& text, const RopeOptions& options = {}) {
  return krait::test::startup_error_message([&] { (void)read(text, 16, options); });
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("rotary settings are read in both spellings") {
  CHECK(read("{}") == RopeConfig{.rotary_dim = 16});
  CHECK(read("{}", 16, {.default_theta = 1e6}).theta == 1e6);
  CHECK(read(R"({"rope_theta": 500000, "rope_scaling": null})").theta == 500000.0);
  CHECK(read(R"({"rope_theta": 5e5, "rope_scaling": {"type": "default"}})").theta == 500000.0);
  CHECK(read(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}})").theta == 1000000.0);
  CHECK(read(R"({"rope_parameters": {"rope_theta": 1000000.0}})").theta == 1000000.0);
  CHECK(read(R"({"rope_theta": 7.0, "rope_parameters": {"rope_type": "default"}})").theta == 7.0);
  CHECK(read(R"({"rope_theta": 7.0, "rope_parameters": {"rope_type": "default", "rope_theta": 8.0}})").theta == 8.0);
}

TEST_CASE("a partial factor selects the first channels") {
  CHECK(read(R"({"partial_rotary_factor": 0.5})").rotary_dim == 8);
  CHECK(read(R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}})", 64).rotary_dim == 16);
  CHECK(read("{}", 64, {.default_partial_factor = 0.25}).rotary_dim == 16);
  CHECK(read(R"({"partial_rotary_factor": 1.0})", 64, {.default_partial_factor = 0.25}).rotary_dim == 64);
  const RopeOptions half{.default_partial_factor = 0.5, .partial_factor_fixed = true};
  CHECK(read(R"({"partial_rotary_factor": 1.0})", 64, half).rotary_dim == 32);
  CHECK(error(R"({"partial_rotary_factor": 0.2})") ==
        "config.json: `partial_rotary_factor` must select an even number of the head's 16 channels, found 3");
  contains(error(R"({"partial_rotary_factor": 1.5})"), "must be above 0 and at most 1");
  contains(error(R"({"partial_rotary_factor": 0.01})"), "found 0");
  contains(error(R"({"rope_parameters": {"partial_rotary_factor": 2}})"), "`rope_parameters.partial_rotary_factor`");
}

TEST_CASE("pairs lie side by side where the family or the config says so") {
  CHECK_FALSE(read("{}").interleaved);
  CHECK(read("{}", 16, {.interleaved = true}).interleaved);
  CHECK(read(R"({"rope_interleave": true})").interleaved);
  CHECK_FALSE(read(R"({"rope_interleave": false})", 16, {.interleaved = true}).interleaved);
}

TEST_CASE("settings of one kind of layers") {
  const std::string text = R"({"rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
      "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0}}})";
  const RopeConfig full = read(text, 16, {.layer_kind = "full_attention"});
  CHECK(full == RopeConfig{.type = RopeType::kLinear, .theta = 1e6, .rotary_dim = 16, .factor = 8.0});
  CHECK(read(text, 16, {.layer_kind = "sliding_attention"}) == RopeConfig{.theta = 20000.0, .rotary_dim = 16});
  // One set for all kinds is fine where a family could have several.
  CHECK(read(R"({"rope_parameters": {"rope_theta": 8.0}})", 16, {.layer_kind = "full_attention"}).theta == 8.0);
  CHECK(error(text) ==
        "config.json: `rope_parameters` must be one set of rotary settings for this model, found one for each of "
        "full_attention, sliding_attention");
  CHECK(error(text, {.layer_kind = "conv"}) ==
        "config.json: `rope_parameters.conv` must hold the rotary settings of these layers, found only "
        "full_attention, sliding_attention");
  contains(error(R"({"rope_parameters": {"a": {"rope_type": "linear", "rope_theta": 5}}})", {.layer_kind = "a"}),
           "`rope_parameters.a.factor` must be a number");
}

TEST_CASE("the older spelling with a base of its own for sliding layers") {
  const std::string text = R"({"rope_theta": 1e6, "rope_local_base_freq": 3e4,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0}})";
  CHECK(read(text, 16, {.layer_kind = "full_attention"}) ==
        RopeConfig{.type = RopeType::kLinear, .theta = 1e6, .rotary_dim = 16, .factor = 8.0});
  const RopeOptions sliding{.layer_kind = "sliding_attention", .own_theta_key = "rope_local_base_freq"};
  CHECK(read(text, 16, sliding) == RopeConfig{.theta = 3e4, .rotary_dim = 16});
  CHECK(read(R"({"rope_theta": 1e6})", 16, sliding).theta == 10000.0);
}

TEST_CASE("proportional settings keep the whole head") {
  const RopeConfig rope =
      read(R"({"rope_parameters": {"rope_type": "proportional", "partial_rotary_factor": 0.3, "factor": 2}})", 24);
  CHECK(rope == RopeConfig{.type = RopeType::kProportional, .rotary_dim = 24, .rotating_pairs = 3, .factor = 2.0});
  CHECK(read(R"({"rope_parameters": {"rope_type": "proportional"}})", 24).rotating_pairs == 12);
  contains(error(R"({"rope_parameters": {"rope_type": "proportional", "partial_rotary_factor": 0.1}})"), "found 0");
}

TEST_CASE("multimodal position rows are plain for text") {
  const RopeConfig plain{.theta = 1e6, .rotary_dim = 16};
  CHECK(read(R"({"rope_parameters": {"mrope_interleaved": true, "mrope_section": [2, 1, 1], "rope_theta": 1e6}})") ==
        plain);
  CHECK(read(R"({"rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]}})") == plain);
}

TEST_CASE("dynamic settings are the default ones up to max_position_embeddings") {
  const std::string scaling = R"("rope_scaling": {"type": "dynamic", "factor": 4.0})";
  const RopeConfig rope = read(R"({"max_position_embeddings": 2048, )" + scaling + "}");
  CHECK(rope.type == RopeType::kDefault);
  CHECK(rope.theta == 10000.0);
  contains(error("{" + scaling + "}"), "`max_position_embeddings` must be an integer");
  contains(error(R"({"max_position_embeddings": 9, "rope_scaling": {"type": "dynamic"}})"),
           "`rope_scaling.factor` must be a number");
}

TEST_CASE("llama3 settings") {
  const RopeConfig rope = read(R"({"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
      "low_freq_factor": 1.5, "high_freq_factor": 5.0, "original_max_position_embeddings": 8192}})");
  CHECK(rope == RopeConfig{.type = RopeType::kLlama3,
                           .theta = 5e5,
                           .rotary_dim = 16,
                           .factor = 8.0,
                           .original_positions = 8192.0,
                           .low_freq_factor = 1.5,
                           .high_freq_factor = 5.0});
  const auto with = [](const std::string& more) { return R"({"rope_scaling": {"rope_type": "llama3")" + more + "}}"; };
  contains(error(with("")), "`rope_scaling.factor` must be a number, found nothing");
  contains(error(with(R"(, "factor": -1)")), "`rope_scaling.factor` must be a finite number above 0");
  contains(error(with(R"(, "factor": 8)")), "`rope_scaling.low_freq_factor` must be a number");
  contains(error(with(R"(, "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4)")),
           "`rope_scaling.high_freq_factor` must be above `low_freq_factor`");
  contains(error(with(R"(, "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4)")),
           "`rope_scaling.original_max_position_embeddings` must be an integer");
}

TEST_CASE("yarn settings") {
  const auto with = [](const std::string& more) {
    return R"({"max_position_embeddings": 1024, "rope_parameters": {"rope_type": "yarn")" + more + "}}";
  };
  CHECK(read(with(R"(, "factor": 8, "original_max_position_embeddings": 64)")) ==
        RopeConfig{.type = RopeType::kYarn,
                   .rotary_dim = 16,
                   .factor = 8.0,
                   .original_positions = 64.0,
                   .attention_factor = 0.1 * std::log(8.0) + 1.0});
  const RopeConfig all = read(with(R"(, "factor": 4, "beta_fast": 16, "beta_slow": 2.5, "truncate": false,
      "attention_factor": 1.25, "rope_theta": 150000)"));
  CHECK(all == RopeConfig{.type = RopeType::kYarn,
                          .theta = 150000.0,
                          .rotary_dim = 16,
                          .factor = 4.0,
                          .original_positions = 1024.0,
                          .beta_fast = 16.0,
                          .beta_slow = 2.5,
                          .truncate = false,
                          .attention_factor = 1.25});
  // Without a factor it is the ratio of the contexts.
  CHECK(read(with(R"(, "original_max_position_embeddings": 256)")).factor == 4.0);
  CHECK(read(R"({"original_max_position_embeddings": 128, "rope_scaling": {"type": "yarn", "factor": 2}})")
            .original_positions == 128.0);
  contains(error(with(R"(, "factor": 2, "beta_fast": 1, "beta_slow": 2)")), "`rope_parameters.beta_fast` must be at");
  contains(error(with(R"(, "factor": 2, "attention_factor": 0)")), "`rope_parameters.attention_factor` must be a");
  contains(error(with(R"(, "factor": 2, "truncate": 1)")), "`rope_parameters.truncate` must be true or false");
  contains(error(R"({"rope_scaling": {"type": "yarn", "factor": 2}})"), "`max_position_embeddings` must be");
}

TEST_CASE("mscale and mscale_all_dim") {
  const auto with = [](const std::string& more) {
    return read(R"({"max_position_embeddings": 4096, "rope_scaling": {"type": "yarn", "factor": 40.0, )" + more + "}}");
  };
  const double ln = std::log(40.0);
  CHECK(with(R"("mscale": 1.0, "mscale_all_dim": 1.0)").attention_factor == 1.0);
  CHECK(with(R"("mscale": 0.5, "mscale_all_dim": 0.8)").attention_factor ==
        Approx((0.05 * ln + 1) / (0.08 * ln + 1)).epsilon(1e-15));
  CHECK(with(R"("mscale": 0.5)").attention_factor == Approx(0.1 * ln + 1).epsilon(1e-15));
  CHECK(with(R"("mscale": 0.5, "mscale_all_dim": 0)").attention_factor == Approx(0.1 * ln + 1).epsilon(1e-15));
  CHECK(with(R"("mscale": 0.5, "mscale_all_dim": 0.8, "attention_factor": 3)").attention_factor == 3.0);
  CHECK(latent_attention_scale_factor(with(R"("mscale": 0.5, "mscale_all_dim": 0.8)")) ==
        Approx((0.08 * ln + 1) * (0.08 * ln + 1)).epsilon(1e-15));
  CHECK(latent_attention_scale_factor(with(R"("mscale": 0.5)")) == 1.0);
  CHECK(latent_attention_scale_factor(read("{}")) == 1.0);
  // The default type has no factor; every other one counts.
  CHECK(latent_attention_scale_factor(read(R"({"rope_parameters": {"mscale_all_dim": 1.0}})")) == 1.0);
  const RopeConfig linear = read(R"({"rope_scaling": {"type": "linear", "factor": 40, "mscale_all_dim": 1}})");
  CHECK(latent_attention_scale_factor(linear) == Approx((0.1 * ln + 1) * (0.1 * ln + 1)).epsilon(1e-15));
  CHECK(linear.attention_factor == 1.0);
  const RopeConfig shrunk = read(R"({"rope_scaling": {"type": "linear", "factor": 0.5, "mscale_all_dim": 1}})");
  CHECK(latent_attention_scale_factor(shrunk) == 1.0);
}

TEST_CASE("a rope type that is not implemented is refused by name") {
  CHECK(error(R"({"rope_scaling": {"rope_type": "longrope", "factor": 8.0}})") ==
        "config.json: `rope_scaling.rope_type` must be one of default, proportional, linear, dynamic, llama3, yarn, "
        "mrope in this version of Krait, found \"longrope\"");
  contains(error(R"({"rope_parameters": {"type": "su"}})"), "`rope_parameters.type` must be one of");
  contains(error(R"({"rope_scaling": {"factor": 8.0}})"), "`rope_scaling.rope_type` must be given");
  contains(error(R"({"rope_scaling": {"type": 3}})"), "`rope_scaling.type` must be a string");
  contains(error(R"({"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"}})"),
           "`rope_scaling.type` must say the same as `rope_parameters`, found \"linear\" and \"default\"");
}

TEST_CASE("a base that is no base is refused") {
  contains(error(R"({"rope_theta": 0})"), "`rope_theta` must be a finite number above 1");
  contains(error(R"({"rope_theta": Infinity})"), "`rope_theta` must be a finite number");
  contains(error(R"({"rope_parameters": {"rope_theta": "x"}})"), "`rope_parameters.rope_theta` must be a number");
}

TEST_CASE("equal settings are one key, others another") {
  const RopeConfig a = read("{}");
  RopeConfig b = a;
  CHECK_FALSE(a < b);
  b.truncate = false;
  CHECK((a < b) != (b < a));
  CHECK(a != b);
}
