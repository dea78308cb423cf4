#include "models/config/rope_config.h"

#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "models/config/config_reader.h"

namespace krait {
namespace {

/// "longrope" is not among them: its frequencies depend on the length of each sequence.
constexpr std::array<std::pair<std::string_view, RopeType>, 7> kTypes = {{{"default", RopeType::kDefault},
                                                                          {"proportional", RopeType::kProportional},
                                                                          {"linear", RopeType::kLinear},
                                                                          {"dynamic", RopeType::kDefault},
                                                                          {"llama3", RopeType::kLlama3},
                                                                          {"yarn", RopeType::kYarn},
                                                                          {"mrope", RopeType::kDefault}}};

/// `rope_type`, or `type` as older files call it.
std::string_view type_key(const ConfigReader& settings) { return settings.has("rope_type") ? "rope_type" : "type"; }

std::string type_name(const ConfigReader& settings) {
  const std::string_view key = type_key(settings);
  // A factor stretches something; transformers would pass over it.
  if (!settings.has(key) && settings.has("factor")) {
    settings.fail("rope_type", "must be given where there is a `factor`, found nothing");
  }
  return settings.string_or(key, "default");
}

RopeType parse_type(const ConfigReader& settings, const std::string& name) {
  std::string valid;
  for (const auto& [known, type] : kTypes) {
    if (name == known) return type;
    valid += (valid.empty() ? "" : ", ") + std::string(known);
  }
  settings.fail(type_key(settings), "must be one of " + valid + " in this version of Krait, found \"" + name + "\"");
}

double positive(const ConfigReader& settings, std::string_view key, double value) {
  if (!std::isfinite(value) || value <= 0.0) {
    settings.fail(key, "must be a finite number above 0, found " + std::to_string(value));
  }
  return value;
}
double read_positive(const ConfigReader& settings, std::string_view key) {
  return positive(settings, key, settings.number(key));
}
double read_positive_or(const ConfigReader& settings, std::string_view key, double fallback) {
  return settings.has(key) ? read_positive(settings, key) : fallback;
}

/// From the object that it stands in, so that an error names the whole key.
double read_theta(const ConfigReader& reader, std::string_view key, double fallback) {
  const double theta = reader.number_or(key, fallback);
  if (!std::isfinite(theta) || theta <= 1.0) {
    reader.fail(key, "must be a finite number above 1, found " + std::to_string(theta));
  }
  return theta;
}

/// Where the settings stand: `rope_parameters` (of the layers' kind), or `rope_scaling`, or nowhere but in the config.
class Settings {
 public:
  Settings(const ConfigReader& reader, const RopeOptions& options) : config_(reader), options_(options) {
    if (const auto parameters = reader.object("rope_parameters")) nested_ = of_layer_kind(*parameters);
    const bool scaling_is_ours = options.own_theta_key.empty();
    const auto scaling = scaling_is_ours ? reader.object("rope_scaling") : std::nullopt;
    if (scaling && nested_ && type_name(*scaling) != type_name(*nested_)) {
      scaling->fail(type_key(*scaling), "must say the same as `rope_parameters`, found \"" + type_name(*scaling) +
                                            "\" and \"" + type_name(*nested_) + "\"");
    }
    if (!nested_) nested_ = scaling;
  }

  /// The object of settings, or the config where there is none.
  [[nodiscard]] const ConfigReader& object() const { return nested_ ? *nested_ : config_; }
  [[nodiscard]] const ConfigReader& config() const { return config_; }

  [[nodiscard]] std::string type() const { return nested_ ? type_name(*nested_) : "default"; }

  [[nodiscard]] double theta() const {
    if (nested_ && nested_->has("rope_theta")) return read_theta(*nested_, "rope_theta", 0.0);
    const std::string_view key = options_.own_theta_key.empty() ? "rope_theta" : options_.own_theta_key;
    return read_theta(config_, key, options_.default_theta);
  }

  /// Of both places the one that has `key`, the nested object first: both spellings stand side by side in some files.
  [[nodiscard]] const ConfigReader& holder(std::string_view key) const {
    return nested_ && nested_->has(key) ? *nested_ : config_;
  }

 private:
  /// One object, or one for each kind of layers.
  [[nodiscard]] ConfigReader of_layer_kind(const ConfigReader& parameters) const {
    std::string kinds;
    for (const std::string& key : parameters.keys()) {
      if (parameters.is_object(key)) kinds += (kinds.empty() ? "" : ", ") + key;
    }
    if (kinds.empty()) return parameters;
    if (options_.layer_kind.empty()) {
      config_.fail("rope_parameters",
                   "must be one set of rotary settings for this model, found one for each of " + kinds);
    }
    if (!parameters.has(options_.layer_kind)) {
      parameters.fail(options_.layer_kind, "must hold the rotary settings of these layers, found only " + kinds);
    }
    return *parameters.object(options_.layer_kind);
  }

  const ConfigReader& config_;
  const RopeOptions& options_;
  std::optional<ConfigReader> nested_;
};

double read_partial_factor(const Settings& settings, const RopeOptions& options) {
  if (options.partial_factor_fixed) return options.default_partial_factor;
  const ConfigReader& holder = settings.holder("partial_rotary_factor");
  const double factor = holder.number_or("partial_rotary_factor", options.default_partial_factor);
  if (!(factor > 0.0 && factor <= 1.0)) {
    holder.fail("partial_rotary_factor", "must be above 0 and at most 1, found " + std::to_string(factor));
  }
  return factor;
}

/// Truncated like `int()` in Python. Channels rotate in pairs: an odd number has no meaning.
void read_rotating_channels(const Settings& settings, int head_dim, const RopeOptions& options, RopeConfig& rope) {
  const double partial = read_partial_factor(settings, options);
  const bool whole_head = rope.type == RopeType::kProportional;
  rope.rotary_dim = whole_head ? head_dim : static_cast<int>(head_dim * partial);
  rope.rotating_pairs = whole_head ? static_cast<int>(partial * head_dim / 2) : 0;
  if (rope.rotary_dim == 0 || rope.rotary_dim % 2 != 0 || (whole_head && rope.rotating_pairs == 0)) {
    const int found = whole_head ? 2 * rope.rotating_pairs : rope.rotary_dim;
    settings.holder("partial_rotary_factor")
        .fail("partial_rotary_factor", "must select an even number of the head's " + std::to_string(head_dim) +
                                           " channels, found " + std::to_string(found));
  }
}

/// The context before it was stretched; older files have it outside the settings, or mean `max_position_embeddings`.
double read_original_positions(const Settings& settings, bool required) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  const ConfigReader& holder = settings.holder(kKey);
  if (holder.has(kKey)) return static_cast<double>(holder.integer(kKey));
  if (required) return static_cast<double>(settings.object().integer(kKey));
  return static_cast<double>(settings.config().integer("max_position_embeddings"));
}

/// Of transformers: without `factor`, the ratio of the contexts.
double read_yarn_factor(const Settings& settings, double original_positions) {
  if (settings.object().has("factor")) return read_positive(settings.object(), "factor");
  return static_cast<double>(settings.config().integer("max_position_embeddings")) / original_positions;
}

/// A factor of 0 counts as none, as in the reference.
double read_attention_factor(const ConfigReader& object, const RopeConfig& rope) {
  if (object.has("attention_factor")) return read_positive(object, "attention_factor");
  const double mscale = object.number_or("mscale", 0.0);
  const bool both = mscale != 0.0 && rope.mscale_all_dim != 0.0;
  return both ? yarn_mscale(rope.factor, mscale) / yarn_mscale(rope.factor, rope.mscale_all_dim)
              : yarn_mscale(rope.factor, 1.0);
}

void read_llama3(const Settings& settings, RopeConfig& rope) {
  const ConfigReader& object = settings.object();
  rope.factor = read_positive(object, "factor");
  rope.low_freq_factor = read_positive(object, "low_freq_factor");
  rope.high_freq_factor = read_positive(object, "high_freq_factor");
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    object.fail("high_freq_factor", "must be above `low_freq_factor` (" + std::to_string(rope.low_freq_factor) +
                                        "), found " + std::to_string(rope.high_freq_factor));
  }
  rope.original_positions = read_original_positions(settings, true);
}

void read_yarn(const Settings& settings, RopeConfig& rope) {
  const ConfigReader& object = settings.object();
  rope.original_positions = read_original_positions(settings, false);
  rope.factor = read_yarn_factor(settings, rope.original_positions);
  rope.beta_fast = read_positive_or(object, "beta_fast", rope.beta_fast);
  rope.beta_slow = read_positive_or(object, "beta_slow", rope.beta_slow);
  if (rope.beta_fast < rope.beta_slow) {
    object.fail("beta_fast", "must be at least `beta_slow` (" + std::to_string(rope.beta_slow) + "), found " +
                                 std::to_string(rope.beta_fast));
  }
  rope.truncate = object.boolean_or("truncate", rope.truncate);
  rope.attention_factor = read_attention_factor(object, rope);
}

void read_type_settings(const Settings& settings, const std::string& name, RopeConfig& rope) {
  const ConfigReader& object = settings.object();
  // Of every stretched type, "dynamic" included, though only yarn gives it to cos and sin.
  if (name != "default" && name != "mrope") rope.mscale_all_dim = object.number_or("mscale_all_dim", 0.0);
  if (name == "dynamic") {
    // The base grows with sequences beyond this length; the server refuses such, so that it stays what it is.
    (void)settings.config().integer("max_position_embeddings");
    rope.factor = read_positive(object, "factor");
  }
  switch (rope.type) {
    case RopeType::kDefault:
      break;
    case RopeType::kProportional:
      rope.factor = read_positive_or(object, "factor", 1.0);
      break;
    case RopeType::kLinear:
      rope.factor = read_positive(object, "factor");
      break;
    case RopeType::kLlama3:
      read_llama3(settings, rope);
      break;
    case RopeType::kYarn:
      read_yarn(settings, rope);
      break;
  }
}

}  // namespace

RopeConfig read_rope_config(const ConfigReader& reader, int head_dim, const RopeOptions& options) {
  const Settings settings(reader, options);
  RopeConfig rope;
  const std::string name = settings.type();
  rope.type = parse_type(settings.object(), name);
  rope.theta = settings.theta();
  rope.interleaved = reader.boolean_or("rope_interleave", options.interleaved);
  read_rotating_channels(settings, head_dim, options, rope);
  read_type_settings(settings, name, rope);
  return rope;
}

double yarn_mscale(double factor, double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

double latent_attention_scale_factor(const RopeConfig& config) {
  if (config.mscale_all_dim == 0.0) return 1.0;
  const double mscale = yarn_mscale(config.factor, config.mscale_all_dim);
  return mscale * mscale;
}

}  // namespace krait
