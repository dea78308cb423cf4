#include "models/architectures/mamba2_config_reader.h"

#include <limits>
#include <string>

namespace krait {
namespace {

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

}  // namespace

Mamba2Config read_mamba2_config(const ConfigReader& reader, int hidden_size, const Mamba2Keys& keys) {
  Mamba2Config mamba;
  mamba.hidden_size = hidden_size;
  mamba.heads = static_cast<int>(reader.integer(keys.heads));
  const std::int64_t inner = reader.integer_or(keys.expand, 2, 1) * hidden_size;
  const bool automatic = reader.is_string(keys.head_dim) && reader.string(keys.head_dim) == "auto";
  mamba.head_dim = static_cast<int>(automatic ? inner / mamba.heads : reader.integer(keys.head_dim));
  if (std::int64_t{mamba.heads} * mamba.head_dim != inner) {
    reader.fail(keys.heads, "times `" + std::string(keys.head_dim) + "` is " +
                                std::to_string(std::int64_t{mamba.heads} * mamba.head_dim) + ", but `" +
                                std::string(keys.expand) + "` times `hidden_size` is " + std::to_string(inner));
  }
  mamba.groups = static_cast<int>(reader.integer_or(keys.groups, 1, 1));
  mamba.state_size = static_cast<int>(reader.integer(keys.state));
  mamba.conv_kernel = static_cast<int>(reader.integer_or(keys.conv_kernel, 4, 1));
  mamba.chunk_size = static_cast<int>(reader.integer_or(keys.chunk_size, 0));
  mamba.norm_eps = static_cast<float>(reader.number_or(keys.norm_eps, 1e-5));
  read_time_step_limit(reader, mamba);
  return mamba;
}

}  // namespace krait
