#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace krait {

class ConfigReader;

/// How frequencies are stretched for contexts longer than the model was first trained with.
enum class RopeType : std::uint8_t {
  /// f[i] = theta^(-2i/d). Also "mrope", whose three position rows are equal for text, and "dynamic", which leaves the
  /// frequencies alone up to `max_position_embeddings`, the most that a server accepts.
  kDefault,
  kProportional,  ///< f[i] / factor for the first `rotating_pairs` pairs of the head, 0 for the others
  kLinear,        ///< f[i] / factor
  kLlama3,        ///< by wavelength: kept, divided by factor, or a blend
  kYarn,          ///< a ramp from f[i] to f[i] / factor over i; cos and sin times `attention_factor`
};

/// One layer's rotary position embedding; layers with equal values share a table. `rope_frequencies` has the formulas.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  /// Channels of a head that rotate: `int(head_dim * partial_rotary_factor)`, even. The whole head when proportional.
  int rotary_dim = 0;
  int offset = 0;                   ///< the first of them; latent attention's keys are [latent | rope]
  bool interleaved = false;         ///< pairs (2i, 2i + 1) instead of (i, i + rotary_dim / 2)
  int rotating_pairs = 0;           ///< kProportional
  double factor = 1.0;              ///< by which the context is stretched
  double original_positions = 0.0;  ///< kLlama3, kYarn: the context before it was stretched
  double low_freq_factor = 1.0;     ///< kLlama3
  double high_freq_factor = 4.0;    ///< kLlama3
  double beta_fast = 32.0;          ///< kYarn
  double beta_slow = 1.0;           ///< kYarn
  bool truncate = true;             ///< kYarn: the ramp's ends are whole numbers
  double attention_factor = 1.0;    ///< of cos and sin
  double mscale_all_dim = 0.0;      ///< of latent attention's scale; 0: none
  auto operator<=>(const RopeConfig&) const = default;  // NOLINT(modernize-use-nullptr): of the generated code
};

/// What a family knows about its rotary settings.
struct RopeOptions {
  /// The layers' kind, the key of settings that are given for each kind ("full_attention"); empty where a family has
  /// one set for all layers.
  std::string_view layer_kind = {};
  double default_theta = 10000.0;
  double default_partial_factor = 1.0;
  bool partial_factor_fixed = false;  ///< whatever the config says, as the reference does for bamba
  bool interleaved = false;           ///< unless `rope_interleave` says otherwise
  /// The older spelling's base of a kind of layers that has its own (gemma3: "rope_local_base_freq"); `rope_scaling`
  /// is then about the other kinds.
  std::string_view own_theta_key = {};
};

/// Reads the rotary settings of layers with `head_dim`, from `rope_parameters` or the older `rope_theta` and
/// `rope_scaling`; key names as in transformers' modeling_rope_utils. An unknown type, a setting that is missing or out
/// of range, and settings for a layer kind that are not there are StartupErrors.
RopeConfig read_rope_config(const ConfigReader& reader, int head_dim, const RopeOptions& options = {});

/// YaRN's correction of the attention's entropy (Peng et al., 2023): 0.1 mscale ln(factor) + 1, and 1 for a factor of
/// at most 1.
double yarn_mscale(double factor, double mscale);

/// By what deepseek_v3 and bailing_hybrid multiply the scale of q k^T: m(mscale_all_dim)^2 for every type but the
/// default one, 1 where `mscale_all_dim` is not given.
double latent_attention_scale_factor(const RopeConfig& config);

}  // namespace krait
