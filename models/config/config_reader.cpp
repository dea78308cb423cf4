#include "models/config/config_reader.h"

#include <cmath>
#include <utility>

#include "kernels/result.h"
#include "models/config/json_document.h"

namespace krait {
namespace {

using nlohmann::json;

/// Far above any real config (the largest have some hundred kilobytes).
constexpr std::size_t kMaximumConfigBytes = std::size_t{16} << 20;

/// The object form of a non-finite number; the bare form has become it in `parse_json`.
std::optional<double> parse_non_finite(const json& value) {
  if (!value.is_object() || value.size() != 1 || !value.contains("__float__")) return std::nullopt;
  const json& text = value["__float__"];
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

/// Any JSON number, or one of the two spellings of infinity. NaN counts as no number.
std::optional<double> parse_number(const json& value) {
  const std::optional<double> number = value.is_number() ? value.get<double>() : parse_non_finite(value);
  return number && !std::isnan(*number) ? number : std::nullopt;
}

/// Strict: 64.0 is no integer, and neither is true.
std::optional<std::int64_t> parse_integer(const json& value, std::int64_t minimum, std::int64_t maximum) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(maximum))
    return std::nullopt;
  const auto number = value.get<std::int64_t>();
  return number >= minimum && number <= maximum ? std::optional(number) : std::nullopt;
}

/// Not bounded by the vocabulary: padded and extended vocabularies make that no error.
std::optional<std::int32_t> parse_token_id(const json& value) {
  const auto id = parse_integer(value, 0, ConfigReader::kMaximumInteger);
  return id ? std::optional(static_cast<std::int32_t>(*id)) : std::nullopt;
}

/// The second half of every message: what is valid, then what was found.
std::string must_be(const std::string& valid, const json& found) {
  return "must be " + valid + ", found " + describe_json(found);
}

std::string integer_range(std::int64_t minimum, std::int64_t maximum) {
  return "an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum);
}

}  // namespace

struct ConfigReader::Json {
  json object;

  /// The value, or null when there is none.
  [[nodiscard]] const json& get(std::string_view key) const {
    static const json kNull;
    const auto it = object.find(key);
    return it == object.end() ? kNull : *it;
  }
};

ConfigReader::ConfigReader(std::string file, std::string prefix, std::shared_ptr<const Json> json)
    : file_(std::move(file)), prefix_(std::move(prefix)), json_(std::move(json)) {}

ConfigReader ConfigReader::from_file(const std::string& path) {
  return from_text(read_text_file(path, kMaximumConfigBytes), path);
}

// A name that stands twice is no error here: the last one wins, as for every reader of these files that is written in
// Python.
ConfigReader ConfigReader::from_text(const std::string& text, const std::string& name) {
  json root = parse_json(text, name + ":", {.non_finite_numbers = true, .unique_names = false});
  if (!root.is_object()) throw StartupError(name + ": " + must_be("a JSON object", root));
  return {name, "", std::make_shared<const Json>(Json{std::move(root)})};
}

bool ConfigReader::has(std::string_view key) const { return !json_->get(key).is_null(); }

bool ConfigReader::is_null(std::string_view key) const {
  const auto value = json_->object.find(key);
  return value != json_->object.end() && value->is_null();
}

std::int64_t ConfigReader::integer(std::string_view key, std::int64_t minimum, std::int64_t maximum) const {
  const json& value = json_->get(key);
  const auto number = parse_integer(value, minimum, maximum);
  if (!number) fail(key, must_be(integer_range(minimum, maximum), value));
  return *number;
}

std::int64_t ConfigReader::integer_or(std::string_view key, std::int64_t fallback, std::int64_t minimum,
                                      std::int64_t maximum) const {
  return has(key) ? integer(key, minimum, maximum) : fallback;
}

double ConfigReader::number(std::string_view key) const {
  const json& value = json_->get(key);
  const auto number = parse_number(value);
  if (!number) fail(key, must_be("a number", value));
  return *number;
}

double ConfigReader::number_or(std::string_view key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool ConfigReader::boolean_or(std::string_view key, bool fallback) const {
  const json& value = json_->get(key);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) fail(key, must_be("true or false", value));
  return value.get<bool>();
}

std::string ConfigReader::string(std::string_view key) const {
  const json& value = json_->get(key);
  if (!value.is_string()) fail(key, must_be("a string", value));
  return value.get<std::string>();
}

bool ConfigReader::is_string(std::string_view key) const { return json_->get(key).is_string(); }

bool ConfigReader::is_object(std::string_view key) const { return json_->get(key).is_object(); }

std::string ConfigReader::string_or(std::string_view key, std::string_view fallback) const {
  return has(key) ? string(key) : std::string(fallback);
}

std::vector<std::string> ConfigReader::strings(std::string_view key) const {
  const json& value = json_->get(key);
  if (!value.is_array()) fail(key, must_be("a list of strings", value));
  std::vector<std::string> items;
  for (const json& item : value) {
    if (!item.is_string()) fail(key, must_be("a list of strings", value));
    items.push_back(item.get<std::string>());
  }
  return items;
}

std::vector<double> ConfigReader::numbers(std::string_view key) const {
  const json& value = json_->get(key);
  if (!value.is_array()) fail(key, must_be("a list of numbers", value));
  std::vector<double> items;
  for (const json& item : value) {
    const auto number = parse_number(item);
    if (!number) fail(key, must_be("a list of numbers", value));
    items.push_back(*number);
  }
  return items;
}

std::vector<std::int64_t> ConfigReader::integers(std::string_view key, std::int64_t minimum,
                                                 std::int64_t maximum) const {
  const json& value = json_->get(key);
  const std::string valid = "a list of integers from " + std::to_string(minimum) + " to " + std::to_string(maximum);
  if (!value.is_array()) fail(key, must_be(valid, value));
  std::vector<std::int64_t> items;
  for (const json& item : value) {
    const auto number = parse_integer(item, minimum, maximum);
    if (!number) fail(key, must_be(valid, value));
    items.push_back(*number);
  }
  return items;
}

std::vector<std::int32_t> ConfigReader::token_ids(std::string_view key) const {
  const json& value = json_->get(key);
  if (value.is_null()) return {};
  std::vector<std::int32_t> ids;
  for (const json& item : value.is_array() ? value : json::array({value})) {
    const auto id = parse_token_id(item);
    if (!id) fail(key, must_be("a token id (an integer from 0) or a list of them", value));
    ids.push_back(*id);
  }
  return ids;
}

std::optional<ConfigReader> ConfigReader::object(std::string_view key) const {
  const json& value = json_->get(key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_object()) fail(key, must_be("an object", value));
  return ConfigReader(file_, prefix_ + std::string(key) + ".", std::make_shared<const Json>(Json{value}));
}

std::vector<std::string> ConfigReader::keys() const {
  std::vector<std::string> names;
  for (const auto& item : json_->object.items()) names.push_back(item.key());
  return names;
}

void ConfigReader::require_value(std::string_view key, std::string_view only) const {
  // What is no string is compared by its JSON: `require_value("n_group", "1")`.
  const json& value = json_->get(key);
  if (value.is_null()) return;
  const std::string found = value.is_string() ? value.get<std::string>() : describe_json(value);
  if (found != only) fail(key, must_be("`" + std::string(only) + "` in this version of Krait", value));
}

void ConfigReader::require_false(std::string_view key) const {
  if (boolean_or(key, false)) fail(key, "must be false in this version of Krait, found true");
}

void ConfigReader::fail(std::string_view key, const std::string& message) const {
  const std::string path = prefix_ + std::string(key);
  throw StartupError(
      Error{.code = ErrorCode::kInvalidArgument, .message = file_ + ": `" + path + "` " + message, .field = path});
}

}  // namespace krait
