#include "server/openai/field_reader.h"

#include <cmath>
#include <utility>

#include "server/service/json_text.h"
#include "server/service/parameter_ranges.h"

namespace krait::server {
namespace {

/// What is valid for a number: the words of its range when it has one.
std::string expected_number(const std::string& name, const char* otherwise) {
  const ParameterRange* range = find_range(name);
  return range == nullptr ? otherwise : describe_range(*range);
}

}  // namespace

std::optional<std::int64_t> as_integer(const Json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (std::trunc(number) != number || std::abs(number) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

FieldReader::FieldReader(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

const Json* FieldReader::find(const std::string& name) {
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<double> FieldReader::number(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->get<double>();
  fail(name, expected_number(name, "a number"), *value);
  return std::nullopt;
}

std::optional<std::int64_t> FieldReader::integer(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto number = as_integer(*value)) return number;
  fail(name, expected_number(name, "an integer"), *value);
  return std::nullopt;
}

std::optional<std::uint64_t> FieldReader::seed(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<std::uint64_t>();
  if (const auto number = as_integer(*value)) return static_cast<std::uint64_t>(*number);
  fail(name, expected_number(name, "an integer"), *value);
  return std::nullopt;
}

std::optional<std::string> FieldReader::text(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  fail(name, "a string", *value);
  return std::nullopt;
}

bool FieldReader::flag(const std::string& name, bool default_value) {
  const Json* value = find(name);
  if (value == nullptr) return default_value;
  if (value->is_boolean()) return value->get<bool>();
  fail(name, "true or false", *value);
  return default_value;
}

std::vector<std::string> FieldReader::texts(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> list;
  if (!value->is_array())
    fail(name, "a string or a list of strings", *value);
  else {
    for (const Json& item : *value) {
      if (item.is_string())
        list.push_back(item.get<std::string>());
      else
        fail(name, "a string or a list of strings", item);
    }
  }
  return list;
}

std::vector<std::int64_t> FieldReader::integers(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::int64_t> list;
  if (!value->is_array())
    fail(name, "a list of integers", *value);
  else {
    for (const Json& item : *value) {
      if (const auto number = as_integer(item))
        list.push_back(*number);
      else
        fail(name, "a list of integers", item);
    }
  }
  return list;
}

const Json* FieldReader::object(const std::string& name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_object()) return value;
  fail(name, "an object", *value);
  return nullptr;
}

void FieldReader::fail(const std::string& name, const std::string& expected, const Json& found) {
  const std::string field = prefix_ + name;
  fail(Error{.code = ErrorCode::kInvalidArgument,
             .message = field + " must be " + expected + ", found " + describe_value(found),
             .field = field});
}

void FieldReader::fail(Error error) {
  if (!error_.has_value()) error_ = std::move(error);
}

Status FieldReader::status() const {
  if (error_.has_value()) return *error_;
  return ok_status();
}

std::vector<std::string> FieldReader::unknown() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.items()) {
    if (!known_.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace krait::server
