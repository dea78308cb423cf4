// Reference: "printf-style String Formatting" in Python's documentation of str.
#include "server/chat/jinja/printf_format.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/number_format.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

/// repr() with everything beyond ASCII escaped.
std::string ascii_repr(const Value& value) {
  std::string out;
  const std::string text = to_repr(value);
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (c < 0x80) {
      out.push_back(static_cast<char>(c));
      continue;
    }
    const int digits = c < 0x100 ? 2 : (c < 0x10000 ? 4 : 8);
    out += digits == 2 ? "\\x" : (digits == 4 ? "\\u" : "\\U");
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[(c >> shift) & 0xF]);
  }
  return out;
}

class Printf {
 public:
  Printf(RenderContext& context, std::string_view text, const Value& arguments)
      : context_(context), text_(text), arguments_(arguments) {
    const Sequence* sequence = arguments.sequence();
    if (sequence != nullptr && sequence->kind == SequenceKind::kTuple) tuple_ = sequence;
  }

  std::string run() {
    while (pos_ < text_.size()) {
      const std::size_t percent = std::min(text_.find('%', pos_), text_.size());
      append(std::string(text_.substr(pos_, percent - pos_)));
      pos_ = percent + 1;
      if (percent < text_.size()) convert();
    }
    const bool leftover = tuple_ != nullptr ? used_ < tuple_->items.size() : used_ == 0 && !is_mapping();
    if (leftover) render_error("not all arguments converted during string formatting");
    context_.charge_text(out_.size());
    return std::move(out_);
  }

 private:
  /// What Python counts as a mapping here: anything with items but text.
  [[nodiscard]] bool is_mapping() const {
    return arguments_.dict() != nullptr || arguments_.is_undefined() ||
           (arguments_.sequence() != nullptr && (arguments_.sequence()->kind == SequenceKind::kList ||
                                                 arguments_.sequence()->kind == SequenceKind::kRange));
  }

  void append(const std::string& text) {
    context_.charge(text.size());
    out_ += text;
  }

  const Value& next_argument() {
    if (named_ != nullptr) return *named_;
    if (tuple_ == nullptr && used_++ == 0) return arguments_;
    if (tuple_ == nullptr || used_ >= tuple_->items.size()) render_error("not enough arguments for format string");
    return tuple_->items[used_++];
  }

  char take() {
    if (pos_ >= text_.size()) render_error("incomplete format");
    return text_[pos_++];
  }
  [[nodiscard]] char peek() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }

  /// `*`, or digits.
  std::int64_t take_size() {
    if (peek() == '*') {
      ++pos_;
      const Value& value = next_argument();
      if (!value.is_integer() && !value.is_bool()) render_error("* wants int");
      return value.integer();
    }
    std::int64_t size = 0;
    while (peek() >= '0' && peek() <= '9') {
      size = std::min<std::int64_t>(size * 10 + (peek() - '0'), INT32_MAX);
      ++pos_;
    }
    return size;
  }

  /// (name): the value that the conversion takes.
  void take_name() {
    named_ = nullptr;
    if (peek() != '(') return;
    std::size_t end = pos_ + 1;
    for (int depth = 1; depth > 0; ++end) {
      if (end >= text_.size()) render_error("incomplete format key");
      if (text_[end] == '(') ++depth;
      if (text_[end] == ')') --depth;
    }
    if (arguments_.dict() == nullptr) render_error("format requires a mapping");
    const std::string name(text_.substr(pos_ + 1, end - pos_ - 2));
    named_ = arguments_.dict()->find_name(name);
    if (named_ == nullptr) render_error("the format's key '" + name + "' is not there");
    pos_ = end;
  }

  void convert() {
    take_name();
    NumberFormat format;
    bool zeros = false;
    for (char c = peek(); c != '\0' && std::string_view("#0- +").find(c) != std::string_view::npos; c = peek()) {
      if (c == '#') format.alternate = true;
      if (c == '0') zeros = true;
      if (c == '-') format.align = '<';
      if (c == '+' || (c == ' ' && format.sign != '+')) format.sign = c;
      ++pos_;
    }
    const std::size_t before_size = pos_;
    format.width = take_size();
    if (format.width < 0) format.align = '<';
    format.width = std::abs(format.width);
    if (peek() == '.') {
      ++pos_;
      format.precision = std::max<std::int64_t>(take_size(), 0);
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++pos_;
    check_field_size(std::max(format.width, format.precision.value_or(0)));
    if (zeros && format.align == '\0') {
      format.align = '=';
      format.fill = "0";
    }
    format.type = take();
    if (format.type == '%' && pos_ != before_size + 1) render_error("unsupported format character '%'");
    if (format.type == '%') return append("%");
    append(converted(next_argument(), format));
  }

  std::string converted(const Value& value, NumberFormat& format) {
    switch (format.type) {
      case 's':
      case 'r':
      case 'a':
        return text_field(value, format);
      case 'c':
        return character_field(value, format);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return integer_field(value, format);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        require_defined(value);
        if (!value.is_number()) render_error("must be real number, not " + std::string(type_name(value)));
        return format_float(value.number(), format);
      default:
        render_error("unsupported format character");
    }
  }

  std::string text_field(const Value& value, NumberFormat& format) {
    context_.charge_text(weight_of(value));
    std::string text = format.type == 's' ? to_text(value) : (format.type == 'r' ? to_repr(value) : ascii_repr(value));
    return limited_field(text, format);
  }

  static std::string limited_field(std::string text, NumberFormat& format) {
    if (format.precision && count_characters(text) > *format.precision) {
      std::size_t end = 0;
      for (std::int64_t i = 0; i < *format.precision; ++i) next_code_point(text, end);
      text.resize(end);
    }
    format.fill = " ";
    if (format.align == '=') format.align = '>';
    return pad_text(text, format, '>');
  }

  static std::string character_field(const Value& value, NumberFormat& format) {
    format.precision.reset();
    if (value.string() != nullptr) {
      if (count_characters(*value.string()) != 1) render_error("%c requires int or char");
      return limited_field(*value.string(), format);
    }
    if (!value.is_integer() && !value.is_bool()) render_error("%c requires int or char");
    NumberFormat plain;
    plain.type = 'c';
    return limited_field(format_integer(value.integer(), plain), format);
  }

  static std::string integer_field(const Value& value, NumberFormat& format) {
    require_defined(value);
    const bool decimal = format.type == 'd' || format.type == 'i' || format.type == 'u';
    if (!value.is_number() || (value.is_float() && !decimal)) {
      render_error(std::string("%") + format.type + " format: " + (decimal ? "a real number" : "an integer") +
                   " is required, not " + std::string(type_name(value)));
    }
    if (value.is_float() && !(std::abs(value.number()) < 9e18))
      render_error("the number " + float_text(value.number()) + " does not fit into an integer");
    const std::int64_t number = value.is_float() ? static_cast<std::int64_t>(value.number()) : value.integer();
    if (decimal) format.type = 'd';
    const std::optional<std::int64_t> precision = std::exchange(format.precision, std::nullopt);
    if (!precision) return format_integer(number, format);
    NumberFormat plain = format;
    plain.width = 0;
    std::string digits = format_integer(number, plain);
    const std::size_t sign = digits.find_first_not_of("+- ");
    const std::size_t begin = format.alternate && !decimal ? sign + 2 : sign;
    while (static_cast<std::int64_t>(digits.size() - begin) < *precision) digits.insert(begin, "0");
    if (format.align == '=') {
      while (static_cast<std::int64_t>(digits.size()) < format.width) digits.insert(begin, "0");
    }
    format.fill = " ";
    return pad_text(digits, format, '>');
  }

  RenderContext& context_;
  std::string_view text_;
  const Value& arguments_;
  const Sequence* tuple_ = nullptr;
  const Value* named_ = nullptr;
  std::size_t used_ = 0;
  std::size_t pos_ = 0;
  std::string out_;
};

}  // namespace

Value format_printf(RenderContext& context, const Value& text, const Value& arguments) {
  if (text.is_markup()) render_error("formatting text marked safe is not supported");
  return Printf(context, *text.string(), arguments).run();
}

}  // namespace krait::server::jinja
