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
bool is_callable(const Value& value) {
  return value.callable() != nullptr || value.is_undefined() || type_name(value) == "LoopContext";
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.string() != nullptr || value.dict() != nullptr || value.sequence() != nullptr;
}

/// What has a length and can be indexed. Undefined has the methods for both.
bool is_sequence(const Value& value) {
  const Sequence* sequence = value.sequence();
  const bool indexed = sequence != nullptr && !sequence->is_view() && sequence->kind != SequenceKind::kGenerator;
  return indexed || value.string() != nullptr || value.dict() != nullptr || value.is_undefined();
}

/// value % divisor == rest
bool has_remainder(RenderContext& context, const Value& value, const Value& divisor, std::int64_t rest) {
  return compare(context, "==", find_operator("%")(context, value, divisor), Value(rest));
}

template <int rest>
bool is_parity(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("odd and even", arguments, {});
  return has_remainder(context, subject, std::int64_t{2}, rest);
}

template <bool upper>
bool in_case(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("test", arguments, {});
  return is_all_in_case(to_text(context, subject), upper);
}

bool divisible_by(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("divisibleby", arguments, {"num"});
  return has_remainder(context, subject, parameters.required(0), 0);
}

template <char first, char second>
bool comparison(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("comparison", arguments, {"b"});
  const std::string symbol = second == '\0' ? std::string(1, first) : std::string{first, second};
  return compare(context, symbol, subject, parameters.required(0));
}

bool is_escaped(const Value& value) { return value.is_markup(); }

/// Python's `is`: the same object. Equal scalars count as the same, as the small ones that templates compare are.
bool same_as(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("sameas", arguments, {"other"});
  const Value& other = parameters.required(0);
  if (subject.data().index() != other.data().index()) return false;
  if (subject.sequence() != nullptr) return subject.sequence() == other.sequence();
  if (subject.dict() != nullptr) return subject.dict() == other.dict();
  return compare(context, "==", subject, other);
}

/// Whether there is a filter or a test of that name.
template <bool of_filters>
bool known_name(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("filter and test", arguments, {});
  if (subject.string() == nullptr) return false;
  return of_filters ? find_filter(*subject.string()) != nullptr : find_test(*subject.string()) != nullptr;
}

bool in_test(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("in", arguments, {"seq"});
  return compare(context, "in", subject, parameters.required(0));
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
          {"odd", &is_parity<1>},
          {"even", &is_parity<0>},
          {"lower", &in_case<false>},
          {"upper", &in_case<true>},
          {"divisibleby", &divisible_by},
          {"in", &in_test},
          {"escaped", &simple<is_escaped>},
          {"sameas", &same_as},
          {"filter", &known_name<true>},
          {"test", &known_name<false>},
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
