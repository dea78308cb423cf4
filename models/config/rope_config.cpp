#include <cmath>
#include <string>

#include "models/config/config_reader.h"
#include "models/config/model_config.h"

namespace krait {
namespace {

constexpr double kDefaultTheta = 10000.0;

/// `rope_type`, or `type` as older files call it. The other types (linear, llama3, yarn, …) change the frequencies, so
/// that passing over one would give wrong text instead of an error.
void require_default_type(const ConfigReader& settings) {
  settings.require_value(settings.has("rope_type") ? "rope_type" : "type", "default");
}

/// Newer configs may give one object a layer kind (`{"full_attention": {…}, "sliding_attention": {…}}`).
void refuse_settings_per_kind(const ConfigReader& reader, const ConfigReader& settings) {
  for (const char* kind : {"full_attention", "sliding_attention", "conv"}) {
    if (!settings.has(kind)) continue;
    reader.fail("rope_parameters",
                "must be one set of rotary settings in this version of Krait, found one a layer kind");
  }
}

/// From the object that it stands in, so that an error names the whole key.
double read_theta(const ConfigReader& reader, double fallback) {
  const double theta = reader.number_or("rope_theta", fallback);
  if (!std::isfinite(theta) || theta <= 1.0) {
    reader.fail("rope_theta", "must be a finite number above 1, found " + std::to_string(theta));
  }
  return theta;
}

/// Truncated like `int()` in Python. Channels rotate in pairs: an odd number has no meaning.
int read_rotary_dim(const ConfigReader& reader, int head_dim, double fallback) {
  const double factor = reader.number_or("partial_rotary_factor", fallback);
  if (!(factor > 0.0 && factor <= 1.0)) {
    reader.fail("partial_rotary_factor", "must be above 0 and at most 1, found " + std::to_string(factor));
  }
  const int rotary_dim = static_cast<int>(head_dim * factor);
  if (rotary_dim == 0 || rotary_dim % 2 != 0) {
    reader.fail("partial_rotary_factor", "must select an even number of the head's " + std::to_string(head_dim) +
                                             " channels, found " + std::to_string(rotary_dim));
  }
  return rotary_dim;
}

}  // namespace

RopeConfig read_rope_config(const ConfigReader& reader, int head_dim) {
  // Each setting is looked for in the nested object first: both spellings stand side by side in some files.
  const double theta = read_theta(reader, kDefaultTheta);
  const double factor = reader.number_or("partial_rotary_factor", 1.0);
  if (const auto scaling = reader.object("rope_scaling")) require_default_type(*scaling);
  const auto parameters = reader.object("rope_parameters");
  if (!parameters) return {.theta = theta, .rotary_dim = read_rotary_dim(reader, head_dim, factor)};
  refuse_settings_per_kind(reader, *parameters);
  require_default_type(*parameters);
  return {.theta = read_theta(*parameters, theta), .rotary_dim = read_rotary_dim(*parameters, head_dim, factor)};
}

}  // namespace krait
