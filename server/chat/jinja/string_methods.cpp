// The methods of str.
#include "server/chat/jinja/string_methods.h"

#include <algorithm>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/str_format.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

Value list_of(RenderContext& context, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  for (const std::string_view part : parts) {
    context.charge(part.size() + 2 * sizeof(Value) + sizeof(std::string));
    items.emplace_back(part);
  }
  return make_sequence(SequenceKind::kList, std::move(items));
}

template <Side side>
Value strip_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("strip", arguments, {"chars"});
  const std::string& text = *self.string();
  context.charge_text(text.size());
  context.count_steps(text.size() / 64);
  const Value* set = parameters.find(0);
  if (set == nullptr || set->is_none()) return strip(text, side);
  return strip(text, parameters.text(0, ""), side);
}

template <Side side>
Value split_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("split", arguments, {"sep", "maxsplit"});
  const std::int64_t limit = parameters.integer(1, -1);
  const Value* separator = parameters.find(0);
  if (separator == nullptr || separator->is_none()) {
    return list_of(context, side == Side::kRight && limit >= 0 ? split_words_from_right(*self.string(), limit)
                                                               : split_words(*self.string(), limit));
  }
  const std::string at = parameters.text(0, "");
  if (at.empty()) render_error("empty separator");
  return list_of(context, split(*self.string(), at, limit, side));
}

Value splitlines(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("splitlines", arguments, {"keepends"});
  return list_of(context, split_lines(*self.string(), parameters.flag(0, false)));
}

template <bool from_right>
Value partition_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("partition", arguments, {"sep"});
  const std::string separator = parameters.required_text(0);
  if (separator.empty()) render_error("empty separator");
  const std::string& text = *self.string();
  context.charge_text(text.size());
  const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
  if (at == std::string::npos)
    return make_sequence(SequenceKind::kTuple, {from_right ? "" : self, "", from_right ? self : ""});
  return make_sequence(SequenceKind::kTuple, {text.substr(0, at), separator, text.substr(at + separator.size())});
}

template <std::string (*map)(std::string_view)>
Value map_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("the method", arguments, {});
  context.charge_text(2 * self.string()->size());
  context.count_steps(self.string()->size() / 64);
  return map(*self.string());
}

Value replace_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("replace", arguments, {"old", "new", "count"});
  const std::string from = parameters.required_text(0);
  const std::string to = parameters.required_text(1);
  const std::string& text = *self.string();
  context.charge_text(text.size() + (from.empty() ? text.size() + 1 : text.size() / from.size()) * to.size());
  return replace_all(text, from, to, parameters.integer(2, -1));
}

Value join_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("join", arguments, {"iterable"});
  std::string text;
  bool follows = false;
  for (const Value& item : iterate(context, parameters.required(0))) {
    if (item.string() == nullptr)
      render_error("join() needs strings, not " + std::string(type_name(require_defined(item))));
    context.charge(self.string()->size() + item.string()->size());
    if (follows) text += *self.string();
    text += *item.string();
    follows = true;
  }
  context.charge_text(text.size());
  return text;
}

/// The part of the text between the optional bounds, as a slice has them, and where it begins.
struct Window {
  std::string_view text;
  std::int64_t begin = 0;
  bool empty = false;  ///< bounds that cross: nothing is found there, not even an empty string
};

Window window_of(const Parameters& parameters, std::string_view text, std::size_t first) {
  const std::int64_t size = count_characters(text);
  const auto bound = [&](std::size_t index, std::int64_t fallback) {
    if (parameters.find(index) == nullptr || parameters.find(index)->is_none()) return fallback;
    const std::int64_t value = parameters.integer(index, fallback);
    return value < 0 ? std::max<std::int64_t>(value + size, 0) : value;
  };
  const std::int64_t begin = bound(first, 0);
  const std::int64_t end = std::min(bound(first + 1, size), size);
  if (begin > end) return {.text = {}, .begin = begin, .empty = true};
  std::size_t from = 0;
  for (std::int64_t i = 0; i < begin; ++i) next_code_point(text, from);
  std::size_t to = from;
  for (std::int64_t i = begin; i < end; ++i) next_code_point(text, to);
  return {.text = text.substr(from, to - from), .begin = begin, .empty = false};
}

/// find, rfind, index and rindex.
template <bool from_right, bool must_be_there>
Value find_substring(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("find", arguments, {"sub", "start", "end"});
  const std::string wanted = parameters.required_text(0);
  context.count_steps(self.string()->size() / 64);
  const Window window = window_of(parameters, *self.string(), 1);
  const std::size_t at = window.empty ? std::string::npos
                         : from_right ? window.text.rfind(wanted)
                                      : window.text.find(wanted);
  if (at != std::string::npos) return window.begin + count_characters(window.text.substr(0, at));
  if (must_be_there) render_error("substring not found");
  return std::int64_t{-1};
}

Value count_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("count", arguments, {"sub", "start", "end"});
  const std::string wanted = parameters.required_text(0);
  context.count_steps(self.string()->size() / 64);
  const Window window = window_of(parameters, *self.string(), 1);
  if (window.empty) return std::int64_t{0};
  if (wanted.empty()) return count_characters(window.text) + 1;
  std::int64_t count = 0;
  for (std::size_t at = window.text.find(wanted); at != std::string::npos;
       at = window.text.find(wanted, at + wanted.size()))
    ++count;
  return count;
}

/// startswith and endswith: of one string, or of any in a tuple.
template <bool at_end>
Value affix_method(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters(at_end ? "endswith" : "startswith", arguments, {"affix", "start", "end"});
  const Window window = window_of(parameters, *self.string(), 1);
  const auto matches = [&window](const Value& affix) {
    require_defined(affix);
    if (affix.string() == nullptr) {
      render_error("startswith and endswith need a str or a tuple of str, not " + std::string(type_name(affix)));
    }
    return !window.empty &&
           (at_end ? window.text.ends_with(*affix.string()) : window.text.starts_with(*affix.string()));
  };
  const Value& affix = parameters.required(0);
  const Sequence* tuple = affix.sequence();
  if (tuple == nullptr || tuple->kind != SequenceKind::kTuple) return matches(affix);
  return std::any_of(tuple->items.begin(), tuple->items.end(), matches);
}

template <bool prefix>
Value remove_affix(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters(prefix ? "removeprefix" : "removesuffix", arguments, {"affix"});
  const std::string affix = parameters.required_text(0);
  const std::string& text = *self.string();
  context.charge_text(text.size());
  if (prefix) return text.starts_with(affix) ? text.substr(affix.size()) : text;
  return text.ends_with(affix) ? text.substr(0, text.size() - affix.size()) : text;
}

template <bool all_words>
Value capital_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("title and capitalize", arguments, {});
  context.charge_text(2 * self.string()->size());
  return to_capitalized(*self.string(), all_words);
}

/// ljust, rjust and center.
template <char align>
Value justify(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("ljust, rjust and center", arguments, {"width", "fillchar"});
  parameters.required(0);
  const std::string fill = parameters.find(1) != nullptr ? parameters.required_text(1) : " ";
  if (count_characters(fill) != 1) render_error("The fill character must be exactly one character long");
  return justified(context, *self.string(), parameters.integer(0, 0), fill, align);
}

Value zfill(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("zfill", arguments, {"width"});
  parameters.required(0);
  const std::string& text = *self.string();
  const bool sign = text.starts_with('+') || text.starts_with('-');
  const std::string padded =
      justified(context, text.substr(sign ? 1 : 0), parameters.integer(0, 0) - (sign ? 1 : 0), "0", '>');
  return (sign ? text.substr(0, 1) : "") + padded;
}

Value expandtabs(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("expandtabs", arguments, {"tabsize"});
  const std::int64_t size = std::clamp<std::int64_t>(parameters.integer(0, 8), 0, 1 << 20);
  std::string result;
  std::int64_t column = 0;
  for (const std::string_view character : characters(*self.string())) {
    if (character == "\t") {
      const std::int64_t blanks = size > 0 ? size - column % size : 0;
      context.charge(static_cast<std::size_t>(blanks));
      result.append(static_cast<std::size_t>(blanks), ' ');
      column += blanks;
    } else {
      result += character;
      column = character == "\n" || character == "\r" ? 0 : column + 1;
    }
  }
  context.charge_text(result.size());
  return result;
}

Value format_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  return format_fields(context, *self.string(), arguments);
}

Value format_map(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("format_map", arguments, {"mapping"});
  const Value& mapping = parameters.required(0);
  if (mapping.dict() == nullptr) render_error("format_map() needs a dict here");
  CallArguments fields;
  for (const auto& [key, value] : mapping.dict()->items) {
    if (key.string() != nullptr) fields.named.emplace_back(*key.string(), value);
  }
  return format_fields(context, *self.string(), fields);
}

/// The tests of all characters: of a string that is not empty, unless `of_empty`.
template <bool (*predicate)(char32_t), bool of_empty>
Value all_characters(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("the method", arguments, {});
  const std::string& text = *self.string();
  context.count_steps(text.size() / 64);
  for (std::size_t pos = 0; pos < text.size();) {
    if (!predicate(next_code_point(text, pos))) return false;
  }
  return of_empty || !text.empty();
}

/// islower and isupper: at least one letter with case, and all of those in the one.
template <bool upper>
Value is_in_case(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("islower and isupper", arguments, {});
  return is_all_in_case(*self.string(), upper);
}

/// istitle: upper and title case only behind what has no case, lower case only behind what has.
Value is_title(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("istitle", arguments, {});
  const std::string& text = *self.string();
  bool inside_word = false;
  bool any = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    const bool capital = is_cased(c) && !is_lower(c);
    if (is_cased(c) && capital == inside_word) return false;
    inside_word = is_cased(c);
    any = any || inside_word;
  }
  return any;
}

}  // namespace

const std::unordered_map<std::string_view, Method>& string_methods() {
  static const std::unordered_map<std::string_view, Method> table = {
      {"capitalize", &capital_method<false>},
      {"casefold", &map_method<fold_case>},
      {"center", &justify<'^'>},
      {"count", &count_method},
      {"endswith", &affix_method<true>},
      {"expandtabs", &expandtabs},
      {"find", &find_substring<false, false>},
      {"format", &format_method},
      {"format_map", &format_map},
      {"index", &find_substring<false, true>},
      {"isalnum", &all_characters<is_alphanumeric, false>},
      {"isalpha", &all_characters<is_alphabetic, false>},
      {"isascii", &all_characters<is_ascii, true>},
      {"isdecimal", &all_characters<is_decimal, false>},
      {"isdigit", &all_characters<is_digit, false>},
      {"islower", &is_in_case<false>},
      {"isnumeric", &all_characters<is_numeric, false>},
      {"isprintable", &all_characters<is_printable, true>},
      {"isspace", &all_characters<is_space, false>},
      {"istitle", &is_title},
      {"isupper", &is_in_case<true>},
      {"join", &join_method},
      {"ljust", &justify<'<'>},
      {"lower", &map_method<to_lower>},
      {"lstrip", &strip_method<Side::kLeft>},
      {"partition", &partition_method<false>},
      {"removeprefix", &remove_affix<true>},
      {"removesuffix", &remove_affix<false>},
      {"replace", &replace_method},
      {"rfind", &find_substring<true, false>},
      {"rindex", &find_substring<true, true>},
      {"rjust", &justify<'>'>},
      {"rpartition", &partition_method<true>},
      {"rsplit", &split_method<Side::kRight>},
      {"rstrip", &strip_method<Side::kRight>},
      {"split", &split_method<Side::kLeft>},
      {"splitlines", &splitlines},
      {"startswith", &affix_method<false>},
      {"strip", &strip_method<Side::kBoth>},
      {"swapcase", &map_method<swap_case>},
      {"title", &capital_method<true>},
      {"upper", &map_method<to_upper>},
      {"zfill", &zfill}};
  return table;
}

std::string justified(RenderContext& context, const std::string& text, std::int64_t width, std::string_view fill,
                      char align) {
  const std::int64_t missing = std::max<std::int64_t>(width - count_characters(text), 0);
  if (missing > (std::int64_t{1} << 26)) throw TemplateError(Failure::kLimit, "a string gets too long");
  context.charge_text(text.size() + static_cast<std::size_t>(missing) * fill.size());
  // CPython's center puts the odd one to the left where the width is odd.
  const std::int64_t centered = missing / 2 + (missing & width & 1);
  const std::int64_t left = align == '<' ? 0 : (align == '>' ? missing : centered);
  std::string result;
  for (std::int64_t i = 0; i < left; ++i) result += fill;
  result += text;
  for (std::int64_t i = left; i < missing; ++i) result += fill;
  return result;
}

}  // namespace krait::server::jinja
