#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// `value | name(arguments)`, `value is name(arguments)` and `value.name(arguments)`.
using Filter = Value (*)(RenderContext& context, const Value& subject, const CallArguments& arguments);
using Test = bool (*)(RenderContext& context, const Value& subject, const CallArguments& arguments);
using Method = Filter;

/// Null for a name that this interpreter does not implement.
Filter find_filter(std::string_view name);
Test find_test(std::string_view name);
/// Applies a filter. Text marked safe keeps its mark through those that keep it in Python; all others see plain text.
Value apply_filter(RenderContext& context, Filter filter, const Value& subject, const CallArguments& arguments);

/// The global functions: range, namespace, dict, cycler, joiner, raise_exception, strftime_now, and lipsum, which
/// refuses to be called. Undefined for any other name.
Value find_function(const std::string& name);

/// The method of this value's type, bound to it. Undefined, with the reason, for one that the sandbox refuses; nullopt
/// where Python has none; an error where Python has one that is not implemented here.
std::optional<Value> find_method(const Value& object, std::string_view name);

/// Reads the arguments of a builtin: by position or by name, each at most once. Fails like a Python function with that
/// signature.
class Parameters {
 public:
  Parameters(std::string_view function, const CallArguments& arguments, std::initializer_list<std::string_view> names);

  /// The argument, or null.
  [[nodiscard]] const Value* find(std::size_t index) const { return values_[index]; }
  /// The argument; fails without one.
  const Value& required(std::size_t index) const;
  [[nodiscard]] bool flag(std::size_t index, bool fallback) const;
  [[nodiscard]] std::int64_t integer(std::size_t index, std::int64_t fallback) const;
  /// A string that must be there.
  [[nodiscard]] std::string required_text(std::size_t index) const;
  /// A string; None stands for the default.
  [[nodiscard]] std::string text(std::size_t index, std::string_view fallback) const;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

}  // namespace krait::server::jinja
