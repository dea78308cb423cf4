// Filters on strings and numbers. Each takes what Python's str() makes of its subject, as Jinja's own do.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <unordered_map>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/json_text.h"
#include "server/chat/jinja/list_filters.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"
#include "server/chat/jinja/text_filters.h"

namespace krait::server::jinja {
namespace {

Value trim(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("trim", arguments, {"chars"});
  const std::string text = to_text(context, subject);
  const Value* set = parameters.find(0);
  context.count_steps(text.size() / 64);
  if (set == nullptr || set->is_none()) return strip(text, Side::kBoth);
  return strip(text, parameters.text(0, ""), Side::kBoth);
}

Value upper(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("upper", arguments, {});
  return to_upper(to_text(context, subject));
}

Value lower(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("lower", arguments, {});
  return to_lower(to_text(context, subject));
}

/// Each word with a capital first letter; words end at white space and at - ( { [ <.
Value title(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("title", arguments, {});
  const std::string text = to_text(context, subject);
  const auto separates = [](std::string_view character) {
    return std::string_view("-({[<").find(character) != std::string_view::npos || strip(character, Side::kBoth).empty();
  };
  std::string result;
  const std::vector<std::string_view> all = characters(text);
  for (std::size_t i = 0; i < all.size();) {  // one piece: separators, or what is between them
    const bool separator = separates(all[i]);
    std::string rest;
    result += to_upper(all[i++]);
    while (i < all.size() && separates(all[i]) == separator) rest += all[i++];
    result += to_lower(rest);
  }
  return result;
}

Value capitalize(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("capitalize", arguments, {});
  return to_capitalized(to_text(context, subject), false);
}

Value string(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("string", arguments, {});
  return to_text(context, subject);
}

Value replace(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("replace", arguments, {"old", "new", "count"});
  const std::string from = to_text(context, parameters.required(0));
  const std::string to = to_text(context, parameters.required(1));
  const bool all = parameters.find(2) == nullptr || parameters.find(2)->is_none();
  const std::string text = to_text(context, subject);
  context.charge_text(text.size() + (from.empty() ? text.size() + 1 : text.size() / from.size()) * to.size());
  return replace_all(text, from, to, all ? -1 : parameters.integer(2, -1));
}

Value length_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("length", arguments, {});
  return length(subject);
}

Value default_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("default", arguments, {"default_value", "boolean"});
  const bool replaced = subject.is_undefined() || (parameters.flag(1, false) && !is_true(subject));
  if (!replaced) return subject;
  return parameters.find(0) != nullptr ? *parameters.find(0) : Value("");
}

JsonStyle json_style(const Parameters& parameters) {
  JsonStyle style;
  style.ensure_ascii = parameters.flag(0, false);
  style.sort_keys = parameters.flag(3, false);
  const Value* indent = parameters.find(1);
  if (indent != nullptr && !indent->is_none()) {
    const bool is_text = indent->string() != nullptr;
    const auto width = is_text ? 0 : std::clamp<std::int64_t>(parameters.integer(1, 0), 0, 1 << 16);
    style.indent = is_text ? *indent->string() : std::string(static_cast<std::size_t>(width), ' ');
    style.item_separator = ",";
  }
  const Value* separators = parameters.find(2);
  if (separators != nullptr && !separators->is_none()) {
    const std::vector<Value> both = iterate(*separators);
    if (both.size() != 2 || both[0].string() == nullptr || both[1].string() == nullptr) {
      render_error("tojson() needs two strings as 'separators'");
    }
    style.item_separator = *both[0].string();
    style.key_separator = *both[1].string();
  }
  return style;
}

/// As transformers defines it, not as Jinja does: no HTML escaping.
Value tojson(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  const JsonStyle style = json_style(parameters);
  context.charge_text(weight_of(subject));
  context.count_steps(weight_of(subject) / 64);
  return to_json(context, subject, style);
}

Value safe(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("safe", arguments, {});
  return Value::markup(to_text(context, subject));
}

Value escape(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("escape", arguments, {});
  if (subject.is_markup()) return subject;
  std::string text = escape_html(to_text(context, subject));
  context.charge_text(text.size());
  return Value::markup(std::move(text));
}

/// Decimal digits of other scripts as ASCII, as int() and float() read them.
std::string with_ascii_digits(std::string_view text) {
  std::string out;
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (c < 0x80 || !is_decimal(c)) {
      append_code_point(c, out);
      continue;
    }
    char32_t zero = c;  // the digits of a script follow each other; no script has more than ten in a row of 16
    while (zero > 0 && c - zero < 9 && is_decimal(zero - 1)) --zero;
    if (c >= 0x1D7CE && c <= 0x1D7FF) zero = c - (c - 0x1D7CE) % 10;  // but for the mathematical ones
    out.push_back(static_cast<char>('0' + (c - zero)));
  }
  return out;
}

/// Single underscores between digits go, as Python reads them; nullopt for others.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits.push_back(text[i]);
      continue;
    }
    const auto digit = [&text](std::size_t at) {
      return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  return digits;
}

/// int(text, base) of Python, or nullopt; fails for what does not fit into 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base) {
  text = strip(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0') {
    const char letter = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
    const std::int64_t named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named != 0 && (base == named || base == 0)) {
      base = named;
      text.remove_prefix(text.size() > 3 && text[2] == '_' ? 3 : 2);
    } else if (base == 0 && text.find_first_not_of("0_") != std::string_view::npos) {
      return std::nullopt;
    }
  }
  if (base == 0) base = 10;
  const std::optional<std::string> digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(digits->data(), digits->data() + digits->size(), value, static_cast<int>(base));
  if (parsed.ptr != digits->data() + digits->size()) return std::nullopt;
  if (parsed.ec != std::errc() || value > static_cast<std::uint64_t>(INT64_MAX))
    render_error("an integer does not fit into 64 bits");
  return negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
}

/// float(text) of Python, or nullopt.
std::optional<double> parse_float(std::string_view text) {
  text = strip(text, Side::kBoth);
  std::string word = to_lower(text);
  const bool negative = word.starts_with('-');
  if (negative || word.starts_with('+')) word.erase(0, 1);
  if (word == "inf" || word == "infinity") return negative ? -HUGE_VAL : HUGE_VAL;
  if (word == "nan") return std::nan("");
  const std::optional<std::string> digits = without_underscores(text);
  if (!digits || digits->empty() || digits->find_first_not_of("0123456789+-.eE") != std::string::npos)
    return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(digits->c_str(), &end);
  return end == digits->c_str() + digits->size() ? std::optional(value) : std::nullopt;
}

Value to_integer(double value) {
  if (!(std::abs(value) < 9e18)) render_error("the number " + float_text(value) + " does not fit into an integer");
  return static_cast<std::int64_t>(value);
}

Value int_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("int", arguments, {"default", "base"});
  const std::int64_t base = parameters.integer(1, 10);
  const Value fallback = parameters.find(0) != nullptr ? *parameters.find(0) : Value(std::int64_t{0});
  require_defined(subject);
  if (subject.is_large_integer()) return subject;
  if (subject.is_float()) return std::isnan(subject.number()) ? fallback : to_integer(subject.number());
  if (subject.is_number()) return subject.integer();
  if (subject.string() == nullptr) return fallback;
  if (base == 0 || (base >= 2 && base <= 36)) {
    if (const auto whole = parse_integer(with_ascii_digits(*subject.string()), base)) return *whole;
  }
  const auto number = parse_float(with_ascii_digits(*subject.string()));
  return number && std::isfinite(*number) ? to_integer(*number) : fallback;
}

Value float_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("float", arguments, {"default"});
  require_defined(subject);
  if (subject.is_large_integer()) return static_cast<double>(std::get<std::uint64_t>(subject.data()));
  if (subject.is_number()) return subject.number();
  const auto number = subject.string() != nullptr ? parse_float(with_ascii_digits(*subject.string())) : std::nullopt;
  if (number) return *number;
  return parameters.find(0) != nullptr ? *parameters.find(0) : Value(0.0);
}

Value abs_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("abs", arguments, {});
  require_defined(subject);
  if (!subject.is_number()) render_error("bad operand type for abs(): '" + std::string(type_name(subject)) + "'");
  if (subject.is_float()) return std::abs(subject.number());
  return subject.integer() == INT64_MIN ? to_integer(-subject.number()) : Value(std::abs(subject.integer()));
}

/// An integer to tens, hundreds …, halves to even.
std::int64_t round_integer(std::int64_t value, std::int64_t digits) {
  if (digits > 18) return 0;
  std::int64_t unit = 1;
  for (std::int64_t i = 0; i < digits; ++i) unit *= 10;
  const std::int64_t rest = ((value % unit) + unit) % unit;
  std::int64_t down = 0;
  if (__builtin_sub_overflow(value, rest, &down)) render_error("an integer does not fit into 64 bits");
  const bool up = rest > unit - rest || (rest == unit - rest && (down / unit) % 2 != 0);
  std::int64_t result = down;
  if (up && __builtin_add_overflow(down, unit, &result)) render_error("an integer does not fit into 64 bits");
  return result;
}

double round_float(double value, std::int64_t precision) {
  if (!std::isfinite(value) || precision > 330) return value;
  if (precision < -330) return std::copysign(0.0, value);
  if (precision >= 0) {
    char text[700];  // printf rounds the exact decimal value, halves to even, as Python's round() does
    const int length = std::snprintf(text, sizeof text, "%.*f", static_cast<int>(precision), value);
    return std::strtod(std::string(text, static_cast<std::size_t>(length)).c_str(), nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  const double scaled = value / unit;
  double rounded = std::round(scaled);
  if (std::abs(scaled - rounded) == 0.5) rounded = 2.0 * std::round(scaled / 2.0);
  return rounded * unit;
}

Value round_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("round", arguments, {"precision", "method"});
  const std::int64_t precision = parameters.integer(0, 0);
  const std::string method = parameters.text(1, "common");
  if (method != "common" && method != "ceil" && method != "floor") render_error("method must be common, ceil or floor");
  require_defined(subject);
  if (!subject.is_number()) render_error("round() needs a number");
  if (method == "common") {
    if (subject.is_float()) return round_float(subject.number(), precision);
    return precision >= 0 ? Value(subject.integer()) : Value(round_integer(subject.integer(), -precision));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = subject.number() * scale;
  if (!std::isfinite(scaled)) render_error("cannot convert the number " + float_text(scaled) + " to an integer");
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

Value indent(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("indent", arguments, {"width", "first", "blank"});
  require_defined(subject);
  if (subject.string() == nullptr) render_error("indent() needs a str, not " + std::string(type_name(subject)));
  const Value* width = parameters.find(0);
  const bool is_text = width != nullptr && width->string() != nullptr;
  const auto count = is_text ? 0 : std::clamp<std::int64_t>(parameters.integer(0, 4), 0, 1 << 20);
  const std::string margin = is_text ? *width->string() : std::string(static_cast<std::size_t>(count), ' ');
  const std::string text = *subject.string() + "\n";  // so that the last line counts even if it is empty
  const auto lines = split_lines(text, false);
  context.charge_text(text.size() + lines.size() * (margin.size() + 1));
  const bool blank_too = parameters.flag(2, false);
  std::string result = parameters.flag(1, false) ? margin : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result += '\n';
    if (i > 0 && (blank_too || !lines[i].empty())) result += margin;
    result += lines[i];
  }
  return result;
}

}  // namespace

Value apply_filter(RenderContext& context, Filter filter, const Value& subject, const CallArguments& arguments) {
  if (!subject.is_markup() || filter == &safe || filter == &escape || filter == &default_filter)
    return filter(context, subject, arguments);
  const bool keeps = filter == &trim || filter == &upper || filter == &lower || filter == &capitalize ||
                     filter == &string || filter == &indent || filter == find_filter("center") ||
                     filter == find_filter("reverse");
  const bool shows = filter == find_filter("list") || filter == find_filter("pprint");
  if (shows) render_error("this filter is not supported for text marked safe");
  const Value result = filter(context, Value(*subject.string()), arguments);
  return keeps && result.string() != nullptr ? Value::markup(*result.string()) : result;
}

Filter find_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> filters = {{"trim", &trim},
                                                                       {"upper", &upper},
                                                                       {"lower", &lower},
                                                                       {"title", &title},
                                                                       {"string", &string},
                                                                       {"replace", &replace},
                                                                       {"length", &length_filter},
                                                                       {"count", &length_filter},
                                                                       {"default", &default_filter},
                                                                       {"d", &default_filter},
                                                                       {"tojson", &tojson},
                                                                       {"int", &int_filter},
                                                                       {"float", &float_filter},
                                                                       {"abs", &abs_filter},
                                                                       {"indent", &indent},
                                                                       {"capitalize", &capitalize},
                                                                       {"safe", &safe},
                                                                       {"e", &escape},
                                                                       {"escape", &escape},
                                                                       {"round", &round_filter}};
  const auto found = filters.find(name);
  if (found != filters.end()) return found->second;
  const Filter of_lists = find_list_filter(name);
  return of_lists != nullptr ? of_lists : find_text_filter(name);
}

}  // namespace krait::server::jinja
