// Arithmetic that either gives Python's result or fails. Python's integers have no end; here one that leaves 64 bits is
// an error.
#include "server/chat/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/printf_format.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

[[noreturn]] void bad_operands(std::string_view symbol, const Value& left, const Value& right) {
  render_error("unsupported operand type(s) for " + std::string(symbol) + ": '" + std::string(type_name(left)) +
               "' and '" + std::string(type_name(right)) + "'");
}

[[noreturn]] void overflow() { render_error("an integer does not fit into 64 bits"); }

/// Fails unless both are numbers; true if the operation is one on floats.
bool on_floats(std::string_view symbol, const Value& left, const Value& right) {
  require_defined(left);
  require_defined(right);
  if (!left.is_number() || !right.is_number()) bad_operands(symbol, left, right);
  return left.is_float() || right.is_float();
}

Value joined(RenderContext& context, const Sequence& left, const Sequence& right) {
  context.charge((left.items.size() + right.items.size()) * sizeof(Value));
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return make_sequence(left.kind, std::move(items));
}

bool is_joinable(const Value& left, const Value& right) {
  const Sequence* a = left.sequence();
  const Sequence* b = right.sequence();
  return a != nullptr && b != nullptr && a->kind == b->kind &&
         (a->kind == SequenceKind::kList || a->kind == SequenceKind::kTuple);
}

/// Text joined with text that is marked safe: what is not marked is escaped, and the whole is marked.
Value joined_markup(RenderContext& context, const Value& left, const Value& right) {
  const std::string first = left.is_markup() ? *left.string() : escape_html(*left.string());
  const std::string second = right.is_markup() ? *right.string() : escape_html(*right.string());
  context.charge_text(first.size() + second.size());
  return Value::markup(first + second);
}

Value add(RenderContext& context, const Value& left, const Value& right) {
  if (left.string() != nullptr && right.string() != nullptr) {
    if (left.is_markup() || right.is_markup()) return joined_markup(context, left, right);
    context.charge_text(left.string()->size() + right.string()->size());
    return *left.string() + *right.string();
  }
  if (is_joinable(left, right)) return joined(context, *left.sequence(), *right.sequence());
  if (left.string() != nullptr && !right.is_undefined()) {
    render_error("can only concatenate str (not \"" + std::string(type_name(right)) + "\") to str");
  }
  if (on_floats("+", left, right)) return left.number() + right.number();
  std::int64_t result = 0;
  if (__builtin_add_overflow(left.integer(), right.integer(), &result)) overflow();
  return result;
}

Value subtract(RenderContext& /*context*/, const Value& left, const Value& right) {
  if (on_floats("-", left, right)) return left.number() - right.number();
  std::int64_t result = 0;
  if (__builtin_sub_overflow(left.integer(), right.integer(), &result)) overflow();
  return result;
}

Value repeated(RenderContext& context, const Value& what, std::int64_t times) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  const std::size_t unit =
      what.string() != nullptr ? what.string()->size() : what.sequence()->items.size() * sizeof(Value);
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(unit, count, &bytes)) bytes = static_cast<std::size_t>(-1);
  context.charge_text(bytes);
  if (what.string() != nullptr) {
    std::string text;
    for (std::size_t i = 0; unit > 0 && i < count; ++i) text += *what.string();
    return what.is_markup() ? Value::markup(std::move(text)) : Value(std::move(text));
  }
  std::vector<Value> items;
  const auto& source = what.sequence()->items;
  for (std::size_t i = 0; unit > 0 && i < count; ++i) items.insert(items.end(), source.begin(), source.end());
  return make_sequence(what.sequence()->kind, std::move(items));
}

bool is_repeatable(const Value& value) {
  const Sequence* sequence = value.sequence();
  return value.string() != nullptr ||
         (sequence != nullptr && (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple));
}

Value multiply(RenderContext& context, const Value& left, const Value& right) {
  if (is_repeatable(left) && right.is_number() && !right.is_float()) return repeated(context, left, right.integer());
  if (is_repeatable(right) && left.is_number() && !left.is_float()) return repeated(context, right, left.integer());
  if (on_floats("*", left, right)) return left.number() * right.number();
  std::int64_t result = 0;
  if (__builtin_mul_overflow(left.integer(), right.integer(), &result)) overflow();
  return result;
}

Value divide(RenderContext& /*context*/, const Value& left, const Value& right) {
  on_floats("/", left, right);
  if (right.number() == 0.0) render_error("division by zero");
  return left.number() / right.number();
}

/// As CPython computes it: from the exact remainder, so that no rounding of the quotient moves it.
double floor_quotient(double left, double right) {
  const double rest = std::fmod(left, right);
  double quotient = (left - rest) / right;
  if (rest != 0.0 && (rest < 0.0) != (right < 0.0)) quotient -= 1.0;
  if (quotient == 0.0) return std::copysign(0.0, left / right);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1.0 : floor;
}

/// Python rounds the quotient down, and the remainder has the divisor's sign.
Value floor_divide(RenderContext& /*context*/, const Value& left, const Value& right) {
  const bool floats = on_floats("//", left, right);
  if (right.number() == 0.0) render_error("division by zero");
  if (floats) return floor_quotient(left.number(), right.number());
  const std::int64_t a = left.integer();
  const std::int64_t b = right.integer();
  if (b == -1) return negate(a);
  return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

Value modulo(RenderContext& context, const Value& left, const Value& right) {
  if (left.string() != nullptr) return format_printf(context, left, right);
  const bool floats = on_floats("%", left, right);
  if (right.number() == 0.0) render_error("modulo by zero");
  if (floats) {
    const double rest = std::fmod(left.number(), right.number());
    if (rest == 0.0) return std::copysign(0.0, right.number());
    return (rest < 0.0) != (right.number() < 0.0) ? rest + right.number() : rest;
  }
  const std::int64_t b = right.integer();
  if (b == -1) return std::int64_t{0};
  const std::int64_t rest = left.integer() % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value integer_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return result;
}

Value power(RenderContext& /*context*/, const Value& left, const Value& right) {
  if (!on_floats("**", left, right) && right.integer() >= 0) return integer_power(left.integer(), right.integer());
  if (left.number() == 0.0 && right.number() < 0.0) render_error("0.0 cannot be raised to a negative power");
  const double result = std::pow(left.number(), right.number());
  const bool finite = std::isfinite(left.number()) && std::isfinite(right.number());
  if (finite && !std::isfinite(result)) render_error("the power is not a finite number");
  return result;
}

}  // namespace

BinaryOperator find_operator(const std::string& symbol) {
  if (symbol == "+") return &add;
  if (symbol == "-") return &subtract;
  if (symbol == "*") return &multiply;
  if (symbol == "/") return &divide;
  if (symbol == "//") return &floor_divide;
  return symbol == "%" ? &modulo : &power;
}

Value negate(const Value& operand) {
  require_defined(operand);
  if (!operand.is_number()) render_error("bad operand type for unary -: '" + std::string(type_name(operand)) + "'");
  if (operand.is_float()) return -operand.number();
  std::int64_t result = 0;
  if (__builtin_sub_overflow(std::int64_t{0}, operand.integer(), &result)) overflow();
  return result;
}

Value plus(const Value& operand) {
  require_defined(operand);
  if (!operand.is_number()) render_error("bad operand type for unary +: '" + std::string(type_name(operand)) + "'");
  if (operand.is_float()) return operand;
  return operand.integer();
}

bool compare(RenderContext& context, const std::string& symbol, const Value& left, const Value& right) {
  context.count_steps((symbol.ends_with("in") ? weight_of(left) / 64 + weight_of(right) / 16
                                              : std::min(weight_of(left), weight_of(right)) / 16));
  if (symbol == "==") return equals(left, right);
  if (symbol == "!=") return !equals(left, right);
  if (symbol == "in") return contains(right, left);
  if (symbol == "not in") return !contains(right, left);
  if (symbol == "<") return less(left, right);
  if (symbol == ">") return less(right, left);
  // <= and >= of NaN are false, so they are no mere negations.
  const bool ordered = symbol == "<=" ? less(left, right) : less(right, left);
  return ordered || equals(left, right);
}

}  // namespace krait::server::jinja
