#include "models/architectures/mamba2_config_reader.h"

#include <limits>
#include <string>

namespace krait {
namespace {

/// A hundred times and more of what any published model has.
constexpr std::int64_t kMaximumChannels = std::int64_t{1} << 24;

int read_head_dim(const ConfigReader& reader, const Mamba2Keys& keys, int heads, std::int64_t inner) {
  const bool automatic = keys.inner_size != kAnyInnerSize &&
                         (reader.is_string(keys.head_dim) ? reader.string(keys.head_dim) == "auto"
                                                          : keys.default_head_dim == 0 && !reader.has(keys.head_dim));
  if (!automatic) return static_cast<int>(reader.integer_or(keys.head_dim, keys.default_head_dim, 1));
  if (inner % heads != 0) {
    reader.fail(keys.heads, "is " + std::to_string(heads) + ", which does not divide the " + std::to_string(inner) +
                                " channels of the Mamba-2 layers");
  }
  return static_cast<int>(inner / heads);
}

}  // namespace

Mamba2Config read_mamba2_config(const ConfigReader& reader, int hidden_size, const Mamba2Keys& keys) {
  Mamba2Config mamba;
  mamba.hidden_size = hidden_size;
  mamba.heads = static_cast<int>(reader.integer_or(keys.heads, keys.default_heads, 1));
  const bool expands = keys.inner_size == 0;
  const std::int64_t inner = expands ? reader.integer_or(keys.expand, 2, 1) * hidden_size : keys.inner_size;
  mamba.head_dim = read_head_dim(reader, keys, mamba.heads, inner);
  const std::int64_t made = std::int64_t{mamba.heads} * mamba.head_dim;
  if (made > kMaximumChannels) {
    reader.fail(keys.heads,
                "times `" + std::string(keys.head_dim) + "` is " + std::to_string(made) + ", which no model has");
  }
  if (keys.inner_size != kAnyInnerSize && made != inner) {
    reader.fail(keys.heads, "times `" + std::string(keys.head_dim) + "` is " + std::to_string(made) +
                                (expands ? ", but `" + std::string(keys.expand) + "` times `hidden_size` is "
                                         : std::string(", but the Mamba-2 layers' channels are ")) +
                                std::to_string(inner));
  }
  mamba.groups = static_cast<int>(reader.integer_or(keys.groups, keys.default_groups, 1));
  if (mamba.heads % mamba.groups != 0) {
    reader.fail(keys.groups, "is " + std::to_string(mamba.groups) + ", which does not divide the " +
                                 std::to_string(mamba.heads) + " heads (`" + std::string(keys.heads) + "`)");
  }
  mamba.state_size = static_cast<int>(reader.integer_or(keys.state, keys.default_state, 1));
  mamba.conv_kernel = static_cast<int>(reader.integer_or(keys.conv_kernel, 4, 1));
  mamba.chunk_size = static_cast<int>(
      reader.integer_or(keys.chunk_size, reader.is_null(keys.chunk_size) ? 0 : keys.default_chunk_size));
  mamba.norm_eps = static_cast<float>(keys.norm_eps.empty() ? keys.default_norm_eps
                                                            : reader.number_or(keys.norm_eps, keys.default_norm_eps));
  return mamba;
}

void read_time_step_limit(const ConfigReader& reader, Mamba2Config& mamba) {
  mamba.dt_min = 0.0F;
  mamba.dt_max = std::numeric_limits<float>::infinity();
  if (!reader.has("time_step_limit")) return;
  const std::vector<double> limit = reader.numbers("time_step_limit");
  if (limit.size() != 2 || !(limit[0] <= limit[1])) {
    reader.fail("time_step_limit", "must be two numbers, the lower first");
  }
  mamba.dt_min = static_cast<float>(limit[0]);
  mamba.dt_max = static_cast<float>(limit[1]);
}

void read_time_step_min(const ConfigReader& reader, Mamba2Config& mamba, std::string_view key) {
  mamba.dt_min = static_cast<float>(reader.number_or(key, 0.001));
  mamba.dt_max = std::numeric_limits<float>::infinity();
}

}  // namespace krait
