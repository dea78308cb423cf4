// str() and repr(). Models were trained on what Python printed, so 1.0 is not 1, and true is True.
#include <array>
#include <charconv>
#include <cmath>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"
#include "server/chat/jinja/value.h"

namespace krait::server::jinja {
namespace {

void append_hex(char32_t c, std::string& out) {
  const int digits = c < 0x100 ? 2 : (c < 0x10000 ? 4 : 8);
  out += digits == 2 ? "\\x" : (digits == 4 ? "\\u" : "\\U");
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[(c >> shift) & 0xF]);
}

}  // namespace

std::string quoted(const std::string& text) {
  const bool only_single = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = only_single ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : (c == '\r' ? "\\r" : "\\t");
    } else if (is_printable(c)) {
      append_code_point(c, out);
    } else {
      append_hex(c, out);
    }
  }
  out.push_back(quote);
  return out;
}

namespace {

std::string sequence_repr(const Sequence& sequence) {
  const bool tuple = sequence.kind == SequenceKind::kTuple;
  if (sequence.kind == SequenceKind::kRange) {
    const std::string step = sequence.step == 1 ? "" : ", " + std::to_string(sequence.step);
    return "range(" + std::to_string(sequence.start) + ", " + std::to_string(sequence.stop) + step + ")";
  }
  std::string out(1, tuple ? '(' : '[');
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out += ", ";
    out += to_repr(sequence.items[i]);
  }
  if (tuple && sequence.items.size() == 1) out.push_back(',');
  out.push_back(tuple ? ')' : ']');
  return out;
}

std::string dict_repr(const Dict& dict) {
  std::string out = "{";
  for (std::size_t i = 0; i < dict.items.size(); ++i) {
    if (i > 0) out += ", ";
    out += to_repr(dict.items[i].first) + ": " + to_repr(dict.items[i].second);
  }
  return out + "}";
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string text(buffer.data(), written.ptr);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  std::string plain(buffer.data(), fixed.ptr);
  return plain.find('.') == std::string::npos ? plain + ".0" : plain;
}

std::string to_text(const Value& value) {
  if (value.is_undefined()) return {};
  if (const std::string* text = value.string()) return *text;
  return to_repr(value);
}

std::string to_text(RenderContext& context, const Value& value) {
  if (const std::string* text = value.string()) {
    context.charge_text(text->size());
    return *text;
  }
  context.charge_text(weight_of(value));
  context.count_steps(weight_of(value) / 64);
  std::string text = to_text(value);
  context.charge_text(text.size());
  return text;
}

std::string to_repr(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.integer() != 0 ? "True" : "False";
  if (value.is_integer()) return std::to_string(value.integer());
  if (value.is_float()) return float_text(value.number());
  if (value.is_large_integer()) return std::to_string(std::get<std::uint64_t>(value.data()));
  if (const std::string* text = value.string())
    return value.is_markup() ? "Markup(" + quoted(*text) + ")" : quoted(*text);
  if (const Dict* dict = value.dict()) return dict_repr(*dict);
  const Sequence* sequence = value.sequence();
  if (sequence != nullptr && sequence->is_view())
    return std::string(type_name(value)) + "(" + sequence_repr(*sequence) + ")";
  if (sequence != nullptr && sequence->kind != SequenceKind::kGenerator) return sequence_repr(*sequence);
  if (value.callable() != nullptr) return value.callable()->text();
  if (value.object() != nullptr) return value.object()->text();
  render_error("a value of type '" + std::string(type_name(value)) + "' cannot be turned into text");
}

}  // namespace krait::server::jinja
