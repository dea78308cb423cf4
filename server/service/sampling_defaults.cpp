#include "server/service/sampling_defaults.h"

#include <filesystem>
#include <system_error>

#include "models/config/config_reader.h"
#include "server/service/parameter_ranges.h"

namespace krait::server {
namespace {

/// The range of a request's field of that name, in the words of its errors.
void check_range(const ConfigReader& reader, const char* key, const char* field, double value) {
  const ParameterRange* range = find_range(field);
  if (range->contains(value)) return;
  reader.fail(key, "must be " + describe_range(*range) + ", found " + format_number(value));
}

std::optional<double> read_number(const ConfigReader& reader, const char* key) {
  if (!reader.has(key)) return std::nullopt;
  const double value = reader.number(key);
  check_range(reader, key, key, value);
  return value;
}

std::optional<std::int64_t> read_integer(const ConfigReader& reader, const char* key, const char* field) {
  if (!reader.has(key)) return std::nullopt;
  const std::int64_t value = reader.integer(key, -1);
  check_range(reader, key, field, static_cast<double>(value));
  return value;
}

}  // namespace

SamplingDefaults read_sampling_defaults(const std::string& folder) {
  SamplingDefaults defaults;
  const std::string path = (std::filesystem::path(folder) / "generation_config.json").string();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return defaults;
  const ConfigReader reader = ConfigReader::from_file(path);
  // Everything is checked, also what is then not used.
  defaults.temperature = read_number(reader, "temperature");
  defaults.top_k = read_integer(reader, "top_k", "top_k");
  defaults.top_p = read_number(reader, "top_p");
  defaults.min_p = read_number(reader, "min_p");
  defaults.repetition_penalty = read_number(reader, "repetition_penalty");
  defaults.max_tokens = read_integer(reader, "max_new_tokens", "max_tokens");
  if (!reader.boolean_or("do_sample", true)) {
    defaults.temperature = 0.0;
    defaults.top_k.reset();
    defaults.top_p.reset();
    defaults.min_p.reset();
  }
  return defaults;
}

void apply_defaults(const SamplingDefaults& defaults, SamplingOptions& sampling) {
  const auto fill = [](auto& field, const auto& value) {
    if (!field) field = value;
  };
  fill(sampling.temperature, defaults.temperature);
  fill(sampling.top_k, defaults.top_k);
  fill(sampling.top_p, defaults.top_p);
  fill(sampling.min_p, defaults.min_p);
  fill(sampling.repetition_penalty, defaults.repetition_penalty);
}

std::string SamplingDefaults::describe() const {
  std::string text;
  const auto add = [&](const char* name, const auto& value) {
    if (value)
      text += (text.empty() ? "" : ", ") + std::string(name) + " " + format_number(static_cast<double>(*value));
  };
  add("temperature", temperature);
  add("top_k", top_k);
  add("top_p", top_p);
  add("min_p", min_p);
  add("repetition_penalty", repetition_penalty);
  add("max_tokens", max_tokens);
  return text;
}

}  // namespace krait::server
