#include "models/architectures/mamba1_config_reader.h"

namespace krait {
namespace {

/// A hundred times and more of what any published model has.
constexpr std::int64_t kMaximumChannels = std::int64_t{1} << 24;

std::int64_t read_channels(const ConfigReader& reader, int hidden_size, const Mamba1Keys& keys) {
  if (!keys.channels.empty() && reader.has(keys.channels)) return reader.integer(keys.channels, 1, kMaximumChannels);
  const std::int64_t channels = reader.integer_or(keys.expand, 2, 1) * hidden_size;
  if (channels > kMaximumChannels) {
    reader.fail(keys.expand, "times `hidden_size` is " + std::to_string(channels) + ", which no model has");
  }
  return channels;
}

std::int64_t read_dt_rank(const ConfigReader& reader, int hidden_size, std::string_view key) {
  constexpr int kHiddenPerRank = 16;
  if (reader.has(key) && !reader.is_string(key)) return reader.integer(key);
  reader.require_value(key, "auto");
  return (hidden_size + kHiddenPerRank - 1) / kHiddenPerRank;
}

}  // namespace

Mamba1Config read_mamba1_config(const ConfigReader& reader, int hidden_size, const Mamba1Keys& keys) {
  Mamba1Config mamba;
  mamba.hidden_size = hidden_size;
  mamba.channels = static_cast<int>(read_channels(reader, hidden_size, keys));
  mamba.state_size = static_cast<int>(reader.integer_or(keys.state, 16, 1));
  mamba.dt_rank = static_cast<int>(read_dt_rank(reader, hidden_size, keys.dt_rank));
  mamba.conv_kernel = static_cast<int>(reader.integer_or(keys.conv_kernel, 4, 1));
  mamba.proj_bias = reader.boolean_or(keys.proj_bias, false);
  mamba.conv_bias = reader.boolean_or(keys.conv_bias, true);
  return mamba;
}

}  // namespace krait
