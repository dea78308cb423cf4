// Reference: "Format String Syntax" in Python's documentation of the module string.
#include "server/chat/jinja/str_format.h"

#include <algorithm>
#include <optional>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/access.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/number_format.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

/// What one field has between its braces.
struct Field {
  std::string_view name;
  char conversion = '\0';
  std::string_view spec;
};

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::int64_t to_number(std::string_view text) {
  if (text.size() > 9) render_error("Too many decimal digits in format string");
  return std::stoll(std::string(text));
}

class Formatter {
 public:
  Formatter(RenderContext& context, const CallArguments& arguments) : context_(context), arguments_(arguments) {}

  std::string run(std::string_view text, int depth) {
    if (depth > 2) render_error("Max string recursion exceeded");
    std::string out;
    while (!text.empty()) {
      const std::size_t brace = std::min(text.find_first_of("{}"), text.size());
      append(out, text.substr(0, brace));
      text.remove_prefix(brace);
      if (text.empty()) break;
      if (text.starts_with("{{") || text.starts_with("}}")) {
        out.push_back(text[0]);
        text.remove_prefix(2);
      } else if (text[0] == '}') {
        render_error("Single '}' encountered in format string");
      } else {
        const std::size_t end = field_end(text);
        append(out, formatted(parse_field(text.substr(1, end - 1)), depth));
        text.remove_prefix(end + 1);
      }
    }
    return out;
  }

 private:
  void append(std::string& out, std::string_view text) {
    context_.charge(text.size());
    context_.count_steps(1);
    out += text;
    if (out.size() > (std::size_t{1} << 26)) throw TemplateError(Failure::kLimit, "a string gets too long");
  }

  /// Where the field that begins here ends: braces may nest, and do not count in [].
  static std::size_t field_end(std::string_view text) {
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '{') ++depth;
      if (text[i] == '}' && --depth == 0) return i;
    }
    render_error("Single '{' encountered in format string");
  }

  static Field parse_field(std::string_view text) {
    Field field;
    std::size_t end = 0;
    bool bracket = false;
    while (end < text.size() && (bracket || (text[end] != ':' && text[end] != '!'))) {
      if (text[end] == '[') bracket = true;
      if (text[end] == ']') bracket = false;
      if (text[end] == '{' && !bracket) render_error("unexpected '{' in field name");
      ++end;
    }
    field.name = text.substr(0, end);
    text.remove_prefix(end);
    if (text.starts_with('!')) {
      if (text.size() < 2 || (text.size() > 2 && text[2] != ':'))
        render_error("expected ':' after conversion specifier");
      field.conversion = text[1];
      text.remove_prefix(2);
    }
    if (text.starts_with(':')) field.spec = text.substr(1);
    return field;
  }

  Value argument(std::string_view name) {
    if (name.empty() || is_number(name)) {
      const bool automatic = name.empty();
      if (manual_ && *manual_ == automatic)
        render_error("cannot switch between manual field specification and automatic field numbering");
      manual_ = !automatic;
      const auto index = automatic ? next_++ : static_cast<std::size_t>(to_number(name));
      if (index >= arguments_.positional.size())
        render_error("Replacement index " + std::to_string(index) + " out of range for positional args tuple");
      return arguments_.positional[index];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    render_error("the format's key '" + std::string(name) + "' is not there");
  }

  /// name(.attribute | [item])*
  Value look_up(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = argument(name.substr(0, end));
    name.remove_prefix(end);
    while (!name.empty()) {
      context_.count_steps(1);
      if (name[0] == '.') {
        const std::size_t stop = std::min(name.find_first_of(".[", 1), name.size());
        if (stop == 1) render_error("Empty attribute in format string");
        value = get_attribute(value, std::string(name.substr(1, stop - 1)));
        name.remove_prefix(stop);
      } else if (name[0] == '[') {
        const std::size_t stop = name.find(']');
        if (stop == std::string_view::npos) render_error("expected '}' before end of string");
        if (stop == 1) render_error("Empty attribute in format string");
        const std::string_view key = name.substr(1, stop - 1);
        value = get_item(value, is_number(key) ? Value(to_number(key)) : Value(key));
        name.remove_prefix(stop + 1);
      } else {
        render_error("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  std::string formatted(const Field& field, int depth) {
    const Value value = look_up(field.name);
    const std::string spec = run(field.spec, depth + 1);
    context_.charge_text(weight_of(value));
    if (field.conversion == 's') return text_field(to_text(value), spec);
    if (field.conversion == 'r') return text_field(to_repr(value), spec);
    if (field.conversion != '\0')
      render_error(std::string("the conversion '!") + field.conversion + "' is not supported");
    if (spec.empty()) return to_text(value);
    if (value.string() != nullptr) return text_field(*value.string(), spec);
    if (!value.is_number())
      render_error("unsupported format string passed to " + std::string(type_name(value)) + ".__format__");
    const NumberFormat format = parse_format_spec(spec);
    return value.is_float() ? format_float(value.number(), format) : format_integer(value.integer(), format);
  }

  static std::string text_field(std::string text, const std::string& spec) {
    if (spec.empty()) return text;
    const NumberFormat format = parse_format_spec(spec);
    if (format.type != '\0' && format.type != 's')
      render_error(std::string("Unknown format code '") + format.type + "' for object of type 'str'");
    if (format.align == '=' || format.sign != '-' || format.alternate || format.grouping != '\0')
      render_error("this format specifier is not allowed for a string");
    if (format.precision && count_characters(text) > *format.precision) {
      std::size_t end = 0;
      for (std::int64_t i = 0; i < *format.precision; ++i) next_code_point(text, end);
      text.resize(end);
    }
    return pad_text(text, format, '<');
  }

  RenderContext& context_;
  const CallArguments& arguments_;
  std::size_t next_ = 0;
  std::optional<bool> manual_;  ///< whether fields are numbered by hand
};

}  // namespace

std::string format_fields(RenderContext& context, const std::string& text, const CallArguments& arguments) {
  return Formatter(context, arguments).run(text, 0);
}

}  // namespace krait::server::jinja
