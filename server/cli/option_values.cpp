#include "server/cli/option_values.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/device_choice.h"
#include "server/cli/sizes.h"

namespace krait::server {
namespace {

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The limits of integers and numbers are inclusive.
bool in_range(const OptionSpec& spec, double value) { return value >= spec.minimum && value <= spec.maximum; }

/// Neither side of TYPE=NAME may be empty; what is valid beyond that the registry knows.
bool is_pair(std::string_view text) {
  const std::size_t equals = text.find('=');
  return equals != std::string_view::npos && equals > 0 && equals + 1 < text.size();
}

/// The one check of every source: a value that passes here can be read by its typed getter.
bool is_valid(const OptionSpec& spec, const std::string& text) {
  switch (spec.type) {
    case OptionType::kText:
      return true;
    case OptionType::kFlag:
      return text == "true" || text == "false";
    case OptionType::kChoice:
      return std::ranges::find(spec.choices, text) != spec.choices.end();
    case OptionType::kBytes:
      return parse_byte_size(text).value_or(0) > 0;
    case OptionType::kCacheMemory:
      return parse_cache_memory(text).has_value();
    case OptionType::kDevice:
      return parse_device(text).has_value();
    case OptionType::kPairs:
      return is_pair(text);
    case OptionType::kInteger: {
      const auto value = parse_number<long long>(text);
      return value.has_value() && in_range(spec, static_cast<double>(*value));
    }
    case OptionType::kNumber: {
      const auto value = parse_number<double>(text);
      return value.has_value() && in_range(spec, *value);
    }
  }
  return false;
}

}  // namespace

Status OptionValues::set(const OptionSpec& spec, std::vector<std::string> texts, const std::string& source) {
  for (const std::string& text : texts) {
    if (is_valid(spec, text)) continue;
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = source + ": " + std::string(spec.name) + " must be " + describe_valid(spec) + ", found '" +
                            text + "'",
                 .field = std::string(spec.name)};
  }
  values_[std::string(spec.name)] = std::move(texts);
  return ok_status();
}

std::vector<std::string> OptionValues::list(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::optional<std::string> OptionValues::text(std::string_view name) const {
  const auto found = values_.find(name);
  if (found != values_.end() && !found->second.empty()) return found->second.back();
  const OptionSpec* spec = find_option(name);
  if (spec == nullptr) KRAIT_BUG("no such option: " + std::string(name));
  if (spec->default_text.empty()) return std::nullopt;
  return std::string(spec->default_text);
}

std::optional<long long> OptionValues::integer(std::string_view name) const {
  const auto value = text(name);
  return value.has_value() ? parse_number<long long>(*value) : std::nullopt;
}

std::optional<double> OptionValues::number(std::string_view name) const {
  const auto value = text(name);
  return value.has_value() ? parse_number<double>(*value) : std::nullopt;
}

bool OptionValues::flag(std::string_view name) const { return text(name) == "true"; }

bool OptionValues::is_set(std::string_view name) const { return values_.contains(name); }

Status read_environment(const std::function<const char*(const char*)>& lookup, OptionValues& values) {
  for (const OptionSpec& spec : option_table()) {
    const std::string name = environment_name(spec.name);
    const char* text = lookup(name.c_str());
    if (text == nullptr) continue;
    std::vector<std::string> texts;
    if (spec.type != OptionType::kPairs) {
      texts.emplace_back(text);
    } else {
      // Several pairs are separated by commas, as one variable has to hold them all.
      std::string_view rest = text;
      while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        texts.emplace_back(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
    }
    if (Status status = values.set(spec, std::move(texts), name); !status.ok()) return status;
  }
  return ok_status();
}

}  // namespace krait::server
