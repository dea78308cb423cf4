// Filters on strings and numbers. Each takes what Python's str() makes of its subject, as Jinja's own do.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/json_text.h"
#include "server/chat/jinja/list_filters.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

/// The text of a value, counted.
std::string text_of(RenderContext& context, const Value& value) {
  std::string text = to_text(value);
  context.charge_text(text.size());
  return text;
}

Value trim(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("trim", arguments, {"chars"});
  const std::string text = text_of(context, subject);
  const Value* set = parameters.find(0);
  if (set == nullptr || set->is_none()) return strip(text, Side::kBoth);
  return strip(text, parameters.text(0, ""), Side::kBoth);
}

Value upper(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("upper", arguments, {});
  return to_upper(text_of(context, subject));
}

Value lower(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("lower", arguments, {});
  return to_lower(text_of(context, subject));
}

/// Each word with a capital first letter; words end at white space and at - ( { [ <.
Value title(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("title", arguments, {});
  std::string result;
  bool at_start = true;
  const std::string text = text_of(context, subject);
  for (const std::string_view character : characters(text)) {
    const bool separator =
        std::string_view("-({[<").find(character) != std::string_view::npos || strip(character, Side::kBoth).empty();
    result += at_start ? to_upper(character) : to_lower(character);
    at_start = separator;
  }
  return result;
}

Value capitalize(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("capitalize", arguments, {});
  const std::string text = text_of(context, subject);
  const std::vector<std::string_view> all = characters(text);
  if (all.empty()) return text;
  return to_upper(all.front()) + to_lower(std::string_view(text).substr(all.front().size()));
}

Value string(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("string", arguments, {});
  return text_of(context, subject);
}

Value replace(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("replace", arguments, {"old", "new", "count"});
  const std::string from = to_text(parameters.required(0));
  const std::string to = to_text(parameters.required(1));
  const bool all = parameters.find(2) == nullptr || parameters.find(2)->is_none();
  const std::string text = text_of(context, subject);
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
    const auto width = is_text ? 0 : std::clamp<std::int64_t>(parameters.integer(1, 0), 0, 64);
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
  std::string text = to_json(subject, json_style(parameters));
  context.charge_text(text.size());
  return text;
}

Value safe(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("safe", arguments, {});
  return Value::markup(text_of(context, subject));
}

Value escape(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("escape", arguments, {});
  if (subject.is_markup()) return subject;
  std::string text = escape_html(text_of(context, subject));
  context.charge_text(text.size());
  return Value::markup(std::move(text));
}

/// The integer that the whole of `text` spells, as Python's int() reads it.
std::optional<std::int64_t> parse_integer(std::string_view text) {
  text = strip(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  const std::int64_t value = std::stoll(std::string(text));
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
  const std::string trimmed(strip(text, Side::kBoth));
  if (trimmed.empty() || trimmed.find_first_not_of("0123456789+-.eE") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(trimmed.c_str(), &end);
  return end == trimmed.c_str() + trimmed.size() ? std::optional(value) : std::nullopt;
}

Value to_integer(double value) {
  if (!(std::abs(value) < 9e18)) render_error("the number " + float_text(value) + " does not fit into an integer");
  return static_cast<std::int64_t>(value);
}

Value int_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("int", arguments, {"default", "base"});
  if (parameters.integer(1, 10) != 10) render_error("int() in another base than 10 is not supported");
  require_defined(subject);
  if (subject.is_large_integer()) return subject;
  if (subject.is_float()) return to_integer(subject.number());
  if (subject.is_number()) return subject.integer();
  if (subject.string() != nullptr) {
    if (const auto whole = parse_integer(*subject.string())) return *whole;
    if (const auto number = parse_float(*subject.string())) return to_integer(*number);
  }
  return parameters.find(0) != nullptr ? *parameters.find(0) : Value(std::int64_t{0});
}

Value float_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("float", arguments, {"default"});
  require_defined(subject);
  if (subject.is_number()) return subject.number();
  const auto number = subject.string() != nullptr ? parse_float(*subject.string()) : std::nullopt;
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

Value round_filter(RenderContext& /*context*/, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("round", arguments, {"precision", "method"});
  require_defined(subject);
  if (!subject.is_number()) render_error("round() needs a number");
  const std::int64_t precision = parameters.integer(0, 0);
  const std::string method = parameters.text(1, "common");
  if (precision < 0 || precision > 15)
    render_error("round() to " + std::to_string(precision) + " digits is not supported");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return std::ceil(subject.number() * scale) / scale;
  if (method == "floor") return std::floor(subject.number() * scale) / scale;
  if (method != "common") render_error("method must be common, ceil or floor");
  if (!subject.is_float()) return subject.integer();
  char text[400];  // printf rounds the exact decimal value, halves to even, as Python's round() does
  const int length = std::snprintf(text, sizeof text, "%.*f", static_cast<int>(precision), subject.number());
  return std::strtod(std::string(text, static_cast<std::size_t>(length)).c_str(), nullptr);
}

Value indent(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("indent", arguments, {"width", "first", "blank"});
  require_defined(subject);
  if (subject.string() == nullptr) render_error("indent() needs a str, not " + std::string(type_name(subject)));
  const Value* width = parameters.find(0);
  const bool is_text = width != nullptr && width->string() != nullptr;
  const auto count = is_text ? 0 : std::clamp<std::int64_t>(parameters.integer(0, 4), 0, 1 << 20);
  const std::string margin = is_text ? *width->string() : std::string(static_cast<std::size_t>(count), ' ');
  const std::string text = text_of(context, subject);
  const auto lines = split(text, "\n", -1, Side::kLeft);
  context.charge_text(text.size() + lines.size() * margin.size());
  std::string result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool blank = lines[i].empty() && !parameters.flag(2, false);
    if (i > 0) result += '\n';
    if (i == 0 ? parameters.flag(1, false) : !blank) result += margin;
    result += lines[i];
  }
  return result;
}

}  // namespace

bool takes_markup(Filter filter) {
  return filter == &safe || filter == &escape || filter == &tojson || filter == &length_filter ||
         filter == &default_filter;
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
  return found == filters.end() ? find_list_filter(name) : found->second;
}

}  // namespace krait::server::jinja
