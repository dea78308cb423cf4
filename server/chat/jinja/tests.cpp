// The tests behind `is`.
#include <unordered_map>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/operators.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

/// A test without arguments: a predicate on the value.
template <bool (*predicate)(const Value&)>
bool simple(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("test", arguments, {});
  return predicate(subject);
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_string(const Value& value) { return value.string() != nullptr; }
bool is_number(const Value& value) { return value.is_number() || value.is_large_integer(); }
bool is_integer(const Value& value) { return value.is_integer() || value.is_large_integer(); }
bool is_float(const Value& value) { return value.is_float(); }
bool is_boolean(const Value& value) { return value.is_bool(); }
bool is_the_true(const Value& value) { return value.is_bool() && value.integer() == 1; }
bool is_the_false(const Value& value) { return value.is_bool() && value.integer() == 0; }
bool is_mapping(const Value& value) { return value.dict() != nullptr; }
/// Undefined counts, because Jinja's class for it has a __call__ (which fails).
bool is_callable(const Value& value) { return value.callable() != nullptr || value.is_undefined(); }

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.string() != nullptr || value.dict() != nullptr || value.sequence() != nullptr;
}

/// What has a length and can be indexed. Undefined has the methods for both.
bool is_sequence(const Value& value) {
  const Sequence* sequence = value.sequence();
  const bool indexed =
      sequence != nullptr && sequence->kind != SequenceKind::kView && sequence->kind != SequenceKind::kGenerator;
  return indexed || value.string() != nullptr || value.dict() != nullptr || value.is_undefined();
}

std::int64_t remainder_of(const Value& value, std::int64_t divisor) {
  require_defined(value);
  if (!value.is_integer() && !value.is_bool()) render_error("odd, even and divisibleby need an int");
  if (divisor == 0) render_error("modulo by zero");
  return divisor == -1 ? 0 : value.integer() % divisor;
}

bool is_odd(const Value& value) { return remainder_of(value, 2) != 0; }
bool is_even(const Value& value) { return remainder_of(value, 2) == 0; }

/// str.islower and str.isupper: at least one letter with case, and all of those in the one.
bool is_lower(const Value& value) {
  const std::string text = to_text(value);
  return to_lower(text) == text && to_upper(text) != text;
}
bool is_upper(const Value& value) {
  const std::string text = to_text(value);
  return to_upper(text) == text && to_lower(text) != text;
}

bool divisible_by(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("divisibleby", arguments, {"num"});
  parameters.required(0);
  return remainder_of(subject, parameters.integer(0, 1)) == 0;
}

template <char first, char second>
bool comparison(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("comparison", arguments, {"b"});
  const std::string symbol = second == '\0' ? std::string(1, first) : std::string{first, second};
  return compare(symbol, subject, parameters.required(0));
}

bool in_test(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("in", arguments, {"seq"});
  return contains(parameters.required(0), subject);
}

using Table = std::unordered_map<std::string_view, Test>;

Table make_table() {
  constexpr Test kEqual = &comparison<'=', '='>;
  constexpr Test kUnequal = &comparison<'!', '='>;
  constexpr Test kLess = &comparison<'<', '\0'>;
  constexpr Test kGreater = &comparison<'>', '\0'>;
  constexpr Test kAtMost = &comparison<'<', '='>;
  constexpr Test kAtLeast = &comparison<'>', '='>;
  return {{"defined", &simple<is_defined>},
          {"undefined", &simple<is_undefined>},
          {"none", &simple<is_none>},
          {"string", &simple<is_string>},
          {"number", &simple<is_number>},
          {"integer", &simple<is_integer>},
          {"float", &simple<is_float>},
          {"boolean", &simple<is_boolean>},
          {"true", &simple<is_the_true>},
          {"false", &simple<is_the_false>},
          {"mapping", &simple<is_mapping>},
          {"callable", &simple<is_callable>},
          {"iterable", &simple<is_iterable>},
          {"sequence", &simple<is_sequence>},
          {"odd", &simple<is_odd>},
          {"even", &simple<is_even>},
          {"lower", &simple<is_lower>},
          {"upper", &simple<is_upper>},
          {"divisibleby", &divisible_by},
          {"in", &in_test},
          {"eq", kEqual},
          {"equalto", kEqual},
          {"==", kEqual},
          {"ne", kUnequal},
          {"!=", kUnequal},
          {"lt", kLess},
          {"lessthan", kLess},
          {"<", kLess},
          {"gt", kGreater},
          {"greaterthan", kGreater},
          {">", kGreater},
          {"le", kAtMost},
          {"<=", kAtMost},
          {"ge", kAtLeast},
          {">=", kAtLeast}};
}

}  // namespace

Test find_test(std::string_view name) {
  static const Table tests = make_table();
  const auto found = tests.find(name);
  return found == tests.end() ? nullptr : found->second;
}

}  // namespace krait::server::jinja
