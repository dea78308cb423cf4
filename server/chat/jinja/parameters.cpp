#include <algorithm>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"

namespace krait::server::jinja {

Parameters::Parameters(std::string_view function, const CallArguments& arguments,
                       std::initializer_list<std::string_view> names)
    : function_(function), names_(names), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names_.size()) {
    fail("takes at most " + std::to_string(names_.size()) + " arguments, " +
         std::to_string(arguments.positional.size()) + " given");
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) fail("got an unexpected argument '" + name + "'");
    const Value*& slot = values_[static_cast<std::size_t>(found - names_.begin())];
    if (slot != nullptr) fail("got multiple values for argument '" + name + "'");
    slot = &value;
  }
}

void Parameters::fail(const std::string& what) const { render_error(std::string(function_) + "() " + what); }

const Value& Parameters::required(std::size_t index) const {
  if (values_[index] == nullptr) fail("lacks the argument '" + std::string(names_[index]) + "'");
  return *values_[index];
}

bool Parameters::flag(std::size_t index, bool fallback) const {
  return values_[index] == nullptr ? fallback : is_true(*values_[index]);
}

std::int64_t Parameters::integer(std::size_t index, std::int64_t fallback) const {
  if (values_[index] == nullptr) return fallback;
  const Value& value = require_defined(*values_[index]);
  if (!value.is_integer() && !value.is_bool()) {
    fail("needs an int as '" + std::string(names_[index]) + "', not " + std::string(type_name(value)));
  }
  return value.integer();
}

std::string Parameters::required_text(std::size_t index) const {
  const Value& value = require_defined(required(index));
  if (value.string() == nullptr) {
    fail("needs a str as '" + std::string(names_[index]) + "', not " + std::string(type_name(value)));
  }
  return *value.string();
}

std::string Parameters::text(std::size_t index, std::string_view fallback) const {
  if (values_[index] == nullptr || values_[index]->is_none()) return std::string(fallback);
  const Value& value = require_defined(*values_[index]);
  if (value.string() == nullptr) {
    fail("needs a str as '" + std::string(names_[index]) + "', not " + std::string(type_name(value)));
  }
  return *value.string();
}

}  // namespace krait::server::jinja
