// The methods of str. Where an argument would need more of Python than a line, the method fails rather than
// approximates.
#include "server/chat/jinja/string_methods.h"

#include <algorithm>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/render_context.h"
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
  const Value* set = parameters.find(0);
  if (set == nullptr || set->is_none()) return strip(text, side);
  return strip(text, parameters.text(0, ""), side);
}

/// startswith and endswith: of one string, or of any in a tuple.
template <bool at_end>
Value affix_method(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters(at_end ? "endswith" : "startswith", arguments, {"affix"});
  const std::string& text = *self.string();
  const auto matches = [&text](const Value& affix) {
    require_defined(affix);
    if (affix.string() == nullptr) {
      render_error("startswith and endswith need a str or a tuple of str, not " + std::string(type_name(affix)));
    }
    return at_end ? text.ends_with(*affix.string()) : text.starts_with(*affix.string());
  };
  const Value& affix = parameters.required(0);
  const Sequence* tuple = affix.sequence();
  if (tuple == nullptr || tuple->kind != SequenceKind::kTuple) return matches(affix);
  return std::any_of(tuple->items.begin(), tuple->items.end(), matches);
}

template <Side side>
Value split_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("split", arguments, {"sep", "maxsplit"});
  const std::int64_t limit = parameters.integer(1, -1);
  const Value* separator = parameters.find(0);
  if (separator == nullptr || separator->is_none()) {
    if (side == Side::kRight && limit >= 0) render_error("rsplit() at white space with a limit is not supported");
    return list_of(context, split_words(*self.string(), limit));
  }
  const std::string at = parameters.text(0, "");
  if (at.empty()) render_error("empty separator");
  return list_of(context, split(*self.string(), at, limit, side));
}

Value splitlines(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("splitlines", arguments, {});
  const std::string& text = *self.string();
  if (text.find_first_of("\r\v\f\x1C\x1D\x1E") != std::string::npos)
    render_error("splitlines() is supported for \\n only");
  std::vector<std::string_view> lines = split(text, "\n", -1, Side::kLeft);
  if (lines.back().empty()) lines.pop_back();
  return list_of(context, lines);
}

Value partition_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("partition", arguments, {"sep"});
  parameters.required(0);
  const std::string separator = parameters.text(0, "");
  if (separator.empty()) render_error("empty separator");
  const std::string& text = *self.string();
  context.charge_text(text.size());
  const std::size_t at = text.find(separator);
  if (at == std::string::npos) return make_sequence(SequenceKind::kTuple, {self, "", ""});
  return make_sequence(SequenceKind::kTuple, {text.substr(0, at), separator, text.substr(at + separator.size())});
}

template <std::string (*map)(std::string_view)>
Value map_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("upper and lower", arguments, {});
  context.charge_text(2 * self.string()->size());
  return map(*self.string());
}

Value replace_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("replace", arguments, {"old", "new", "count"});
  parameters.required(0);
  parameters.required(1);
  const std::string from = parameters.text(0, "");
  const std::string to = parameters.text(1, "");
  const std::string& text = *self.string();
  context.charge_text(text.size() + (from.empty() ? text.size() + 1 : text.size() / from.size()) * to.size());
  return replace_all(text, from, to, parameters.integer(2, -1));
}

Value join_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("join", arguments, {"iterable"});
  std::string text;
  bool follows = false;
  for (const Value& item : iterate(parameters.required(0))) {
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

Value find_method_of_string(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("find", arguments, {"sub"});
  parameters.required(0);
  const std::string& text = *self.string();
  const std::size_t at = text.find(parameters.text(0, ""));
  return at == std::string::npos ? std::int64_t{-1} : count_characters(std::string_view(text).substr(0, at));
}

Value count_method(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("count", arguments, {"sub"});
  parameters.required(0);
  const std::string wanted = parameters.text(0, "");
  if (wanted.empty()) return count_characters(*self.string()) + 1;
  return static_cast<std::int64_t>(split(*self.string(), wanted, -1, Side::kLeft).size()) - 1;
}

Value is_digit_method(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("isdigit", arguments, {});
  const std::string& text = *self.string();
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii) render_error("isdigit() is supported for ASCII text only");
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// str.capitalize and str.title differ from the filters in where words end: here at every character that is not a
/// letter.
template <bool all_words>
Value capital_method(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("title and capitalize", arguments, {});
  context.charge_text(2 * self.string()->size());
  std::string result;
  bool at_start = true;
  for (const std::string_view character : characters(*self.string())) {
    result += at_start ? to_upper(character) : to_lower(character);
    at_start = all_words && to_upper(character) == to_lower(character);
  }
  return result;
}

}  // namespace

const std::unordered_map<std::string_view, Method>& string_methods() {
  static const std::unordered_map<std::string_view, Method> table = {{"strip", &strip_method<Side::kBoth>},
                                                                     {"lstrip", &strip_method<Side::kLeft>},
                                                                     {"rstrip", &strip_method<Side::kRight>},
                                                                     {"startswith", &affix_method<false>},
                                                                     {"endswith", &affix_method<true>},
                                                                     {"split", &split_method<Side::kLeft>},
                                                                     {"rsplit", &split_method<Side::kRight>},
                                                                     {"splitlines", &splitlines},
                                                                     {"partition", &partition_method},
                                                                     {"upper", &map_method<to_upper>},
                                                                     {"lower", &map_method<to_lower>},
                                                                     {"title", &capital_method<true>},
                                                                     {"capitalize", &capital_method<false>},
                                                                     {"replace", &replace_method},
                                                                     {"join", &join_method},
                                                                     {"find", &find_method_of_string},
                                                                     {"count", &count_method},
                                                                     {"isdigit", &is_digit_method}};
  return table;
}

}  // namespace krait::server::jinja
