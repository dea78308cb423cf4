// Filters that lay text out or encode it. Reference: jinja2's filters.py.
#include "server/chat/jinja/text_filters.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/number_format.h"
#include "server/chat/jinja/printf_format.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/string_methods.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

/// \w of Python's regular expressions.
bool is_word(char32_t c) { return c == '_' || is_alphanumeric(c); }

std::string first_characters(std::string_view text, std::int64_t count) {
  std::size_t end = 0;
  for (std::int64_t i = 0; i < count && end < text.size(); ++i) next_code_point(text, end);
  return std::string(text.substr(0, end));
}

Value center(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("center", arguments, {"width"});
  return justified(context, to_text(context, subject), parameters.integer(0, 80), " ", '^');
}

Value truncate(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const std::int64_t length = parameters.integer(0, 255);
  const std::string end = parameters.find(2) != nullptr ? parameters.required_text(2) : "...";
  const bool default_leeway = parameters.find(3) == nullptr || parameters.find(3)->is_none();
  const std::int64_t leeway = default_leeway ? 5 : parameters.integer(3, 5);
  const std::int64_t end_size = count_characters(end);
  if (length < end_size) render_error("truncate() needs a length of at least " + std::to_string(end_size));
  if (leeway < 0) render_error("truncate() needs a leeway of at least 0");
  if (::krait::server::jinja::length(subject) - leeway <= length) return subject;
  if (subject.string() == nullptr) render_error("truncate() needs a str, not " + std::string(type_name(subject)));
  const std::string& text = *subject.string();
  context.charge_text(text.size());
  const std::string kept = first_characters(text, length - end_size);
  if (parameters.flag(1, false)) return kept + end;
  return std::string(split(kept, " ", 1, Side::kRight).front()) + end;
}

Value wordcount(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("wordcount", arguments, {});
  const std::string text = to_text(context, subject);
  std::int64_t count = 0;
  bool inside = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const bool word = is_word(next_code_point(text, pos));
    if (word && !inside) ++count;
    inside = word;
  }
  return count;
}

Value format(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty())
    render_error("can't handle positional and keyword arguments at the same time");
  const Value text = to_text(context, subject);
  if (arguments.named.empty())
    return format_printf(context, text, make_sequence(SequenceKind::kTuple, arguments.positional));
  Dict named;
  for (const auto& [name, value] : arguments.named) named.set(name, value);
  return format_printf(context, text, make_dict(std::move(named)));
}

Value forceescape(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("forceescape", arguments, {});
  std::string text = escape_html(to_text(context, subject));
  context.charge_text(text.size());
  return Value::markup(std::move(text));
}

/// Entities as what they stand for; those of the five special characters, others fail.
std::string unescaped(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#34;", "\""}, {"&#39;", "'"}};
  std::string out;
  while (!text.empty()) {
    const auto* found = std::find_if(std::begin(kEntities), std::end(kEntities),
                                     [text](const auto& entity) { return text.starts_with(entity.first); });
    if (found != std::end(kEntities)) {
      out += found->second;
      text.remove_prefix(found->first.size());
      continue;
    }
    const bool entity =
        text.size() > 1 && text[0] == '&' && (text[1] == '#' || is_word(static_cast<unsigned char>(text[1])));
    if (entity) render_error("striptags() of text with other entities than of & < > ' \" is not supported");
    out.push_back(text[0]);
    text.remove_prefix(1);
  }
  return out;
}

/// Without comments and tags, entities resolved, white space as single blanks.
Value striptags(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("striptags", arguments, {});
  std::string text = to_text(context, subject);
  for (const auto& [begin, end] : {std::pair<std::string_view, std::string_view>("<!--", "-->"), {"<", ">"}}) {
    std::string kept;
    std::size_t done = 0;
    for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, done)) {
      const std::size_t close = text.find(end, at + begin.size());
      if (close == std::string::npos) break;
      kept.append(text, done, at - done);
      done = close + end.size();
    }
    text = kept.append(text, done);
  }
  std::string out;
  for (const std::string_view word : split_words(text, -1)) out.append(out.empty() ? "" : " ").append(word);
  return unescaped(out);
}

std::string url_quoted(std::string_view text, bool for_query) {
  constexpr std::string_view kSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~";
  std::string out;
  for (const char c : text) {
    if (kSafe.find(c) != std::string_view::npos || (c == '/' && !for_query)) {
      out.push_back(c);
    } else if (c == ' ' && for_query) {
      out.push_back('+');
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 0xF]};
    }
  }
  return out;
}

Value urlencode(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("urlencode", arguments, {});
  const bool pairs = subject.dict() != nullptr || subject.sequence() != nullptr || subject.is_undefined();
  std::string out;
  if (!pairs) {
    out = url_quoted(to_text(context, subject), false);
  } else if (subject.dict() != nullptr) {
    for (const auto& [key, value] : subject.dict()->items) {
      out += (out.empty() ? "" : "&") + url_quoted(to_text(context, key), true) + "=" +
             url_quoted(to_text(context, value), true);
    }
  } else {
    for (const Value& item : iterate(context, subject)) {
      const std::vector<Value> pair = iterate(context, item);
      if (pair.size() != 2) render_error("urlencode() needs pairs");
      out += (out.empty() ? "" : "&") + url_quoted(to_text(context, pair[0]), true) + "=" +
             url_quoted(to_text(context, pair[1]), true);
    }
  }
  context.charge_text(out.size());
  return out;
}

Value filesizeformat(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("filesizeformat", arguments, {"binary"});
  require_defined(subject);
  const CallArguments none{.positional = {None{}}, .named = {}};
  const Value number = apply_filter(context, find_filter("float"), subject, none);
  if (number.is_none()) render_error("filesizeformat() needs a number");
  const bool binary = parameters.flag(0, false);
  const double bytes = number.number();
  const double base = binary ? 1024.0 : 1000.0;
  if (bytes == 1.0) return "1 Byte";
  if (bytes < base) return std::to_string(static_cast<std::int64_t>(bytes)) + " Bytes";
  constexpr std::string_view kLetters = "kMGTPEZY";
  double unit = base;
  std::size_t at = 0;
  while (at + 1 < kLetters.size() && bytes >= unit * base) {
    unit *= base;
    ++at;
  }
  NumberFormat style;
  style.type = 'f';
  style.precision = 1;
  std::string letter(1, kLetters[at]);
  if (binary) letter = (at == 0 ? "K" : letter) + "i";
  return format_float(bytes / unit, style) + " " + letter + "B";
}

/// Keys and values as XML attributes; those without a value are left out.
Value xmlattr(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("xmlattr", arguments, {"autospace"});
  require_defined(subject);
  if (subject.dict() == nullptr) render_error("xmlattr() needs a dict, not " + std::string(type_name(subject)));
  const auto escaped = [&context](const Value& value) {
    return value.is_markup() ? *value.string() : escape_html(to_text(context, value));
  };
  std::string out;
  for (const auto& [key, value] : subject.dict()->items) {
    if (value.is_none() || value.is_undefined()) continue;
    if (key.string() == nullptr) render_error("xmlattr() needs keys that are str");
    if (key.string()->find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      render_error("Invalid character in attribute name: " + quoted(*key.string()));
    out += (out.empty() ? "" : " ") + escaped(key) + "=\"" + escaped(value) + "\"";
    context.charge_text(out.size());
  }
  if (!out.empty() && parameters.flag(0, true)) out.insert(0, " ");
  return out;
}

}  // namespace

Filter find_text_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> filters = {
      {"center", &center},           {"truncate", &truncate},
      {"wordcount", &wordcount},     {"format", &format},
      {"forceescape", &forceescape}, {"striptags", &striptags},
      {"urlencode", &urlencode},     {"filesizeformat", &filesizeformat},
      {"xmlattr", &xmlattr}};
  const auto found = filters.find(name);
  return found == filters.end() ? nullptr : found->second;
}

}  // namespace krait::server::jinja
