// json.dumps, byte for byte: the blanks behind separators, the form of floats and what is escaped are all part of the
// prompt.
#include "server/chat/jinja/json_text.h"

#include <algorithm>
#include <cmath>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/render_context.h"

namespace krait::server::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(RenderContext& context, const JsonStyle& style) : context_(context), style_(style) {}

  void write(const Value& value) {
    const Sequence* sequence = value.sequence();
    if (value.string() != nullptr) {
      write_string(*value.string());
    } else if (value.dict() != nullptr) {
      write_dict(*value.dict());
    } else if (sequence != nullptr &&
               (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple)) {
      write_list(*sequence);
    } else {
      out_ += scalar(value);
    }
  }

  std::string take() {
    count();
    return std::move(out_);
  }

 private:
  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.integer() != 0 ? "true" : "false";
    if (value.is_integer() || value.is_large_integer()) return to_repr(value);
    if (value.is_float()) {
      const double number = value.number();
      if (std::isnan(number)) return "NaN";
      if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
      return float_text(number);
    }
    render_error("Object of type " + std::string(type_name(value)) + " is not JSON serializable");
  }

  void write_list(const Sequence& list) {
    if (list.items.empty()) {
      out_ += "[]";
      return;
    }
    out_.push_back('[');
    ++level_;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      begin_item(i == 0);
      write(list.items[i]);
    }
    end_container(']');
  }

  void write_dict(const Dict& dict) {
    if (dict.items.empty()) {
      out_ += "{}";
      return;
    }
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(),
                       [](const auto* a, const auto* b) { return less(a->first, b->first); });
    }
    out_.push_back('{');
    ++level_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      begin_item(i == 0);
      const Value& key = items[i]->first;
      write_string(key.string() != nullptr ? *key.string() : scalar(key));
      out_ += style_.key_separator;
      write(items[i]->second);
    }
    end_container('}');
  }

  void begin_item(bool first) {
    if (!first) out_ += style_.item_separator;
    new_line();
  }

  void end_container(char close) {
    --level_;
    new_line();
    out_.push_back(close);
  }

  /// Counts what was written since the last time: separators and indentation may be of any length.
  void count() {
    context_.charge_text(out_.size() - counted_);
    counted_ = out_.size();
  }

  void new_line() {
    if (out_.size() - counted_ > kCountedAtOnce) count();
    if (!style_.indent) return;
    out_.push_back('\n');
    for (int i = 0; i < level_; ++i) out_ += *style_.indent;
  }

  void write_string(const std::string& text) {
    out_.push_back('"');
    for (std::size_t pos = 0; pos < text.size();) write_character(next_code_point(text, pos));
    out_.push_back('"');
  }

  void write_character(char32_t c) {
    constexpr std::string_view kSpecial = "\"\\\n\r\t\f\b";
    constexpr std::string_view kLetters = "\"\\nrtfb";
    const std::size_t special = c < 0x80 ? kSpecial.find(static_cast<char>(c)) : std::string_view::npos;
    if (special != std::string_view::npos) {
      out_.push_back('\\');
      out_.push_back(kLetters[special]);
    } else if (c < 0x20 || (c > 0x7E && style_.ensure_ascii)) {
      write_escape(c);
    } else {
      append_code_point(c, out_);
    }
  }

  /// \uXXXX, in two halves above U+FFFF.
  void write_escape(char32_t c) {
    if (c > 0xFFFF) {
      write_escape(0xD800 + ((c - 0x10000) >> 10));
      write_escape(0xDC00 + ((c - 0x10000) & 0x3FF));
      return;
    }
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out_.push_back("0123456789abcdef"[(c >> shift) & 0xF]);
  }

  static constexpr std::size_t kCountedAtOnce = 1 << 16;
  RenderContext& context_;
  const JsonStyle& style_;
  std::size_t counted_ = 0;
  std::string out_;
  int level_ = 0;
};

}  // namespace

std::string to_json(RenderContext& context, const Value& value, const JsonStyle& style) {
  JsonWriter writer(context, style);
  writer.write(value);
  return writer.take();
}

}  // namespace krait::server::jinja
