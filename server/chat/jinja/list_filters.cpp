// Filters on lists and dicts. Those that are lazy in Jinja give a generator here too, because that shows: it can be
// iterated once and has no length.
#include "server/chat/jinja/list_filters.h"

#include <algorithm>
#include <unordered_map>

#include "server/chat/jinja/access.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/operators.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

std::vector<Value> items_of(RenderContext& context, const Value& value) { return iterate(context, value); }

Value first(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("first", arguments, {});
  const std::vector<Value> items = items_of(context, subject);
  if (items.empty()) return Value::undefined("No first item, sequence was empty.");
  leave_rest(subject, items.size() - 1);
  return items.front();
}

Value last(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("last", arguments, {});
  const Sequence* sequence = subject.sequence();
  if (sequence != nullptr && sequence->kind == SequenceKind::kGenerator)
    render_error("'generator' object is not reversible");
  const std::vector<Value> items = items_of(context, subject);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

/// The attribute that a filter's `attribute` names: a path like "function.name", or a position.
Value attribute_of(const Value& item, const Value& attribute, const Value* fallback = nullptr) {
  if (attribute.is_integer()) return get_item(item, attribute);
  if (attribute.string() == nullptr) render_error("an attribute is named by a string or an int");
  Value value = item;
  for (const std::string_view part : split(*attribute.string(), ".", -1, Side::kLeft)) {
    const bool position =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string_view::npos;
    value =
        position ? get_item(value, Value(std::int64_t{std::stoll(std::string(part))})) : get_item(value, Value(part));
    if (value.is_undefined() && fallback != nullptr) value = *fallback;
  }
  return value;
}

/// An optional argument: null where it is left out or None.
const Value* optional(const Parameters& parameters, std::size_t index) {
  const Value* value = parameters.find(index);
  return value == nullptr || value->is_none() ? nullptr : value;
}

Value join(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("join", arguments, {"d", "attribute"});
  const std::string separator = parameters.find(0) != nullptr ? to_text(context, *parameters.find(0)) : std::string();
  const Value* attribute = parameters.find(1);
  std::string text;
  bool follows = false;
  for (const Value& item : items_of(context, subject)) {
    const std::string piece =
        to_text(context, attribute != nullptr && !attribute->is_none() ? attribute_of(item, *attribute) : item);
    context.charge(separator.size());
    if (follows) text += separator;
    text += piece;
    follows = true;
  }
  context.charge_text(text.size());
  return text;
}

Value list(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("list", arguments, {});
  return make_sequence(SequenceKind::kList, items_of(context, subject));
}

Value items_filter(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("items", arguments, {});
  if (!subject.is_undefined() && subject.dict() == nullptr) render_error("Can only get item pairs from a mapping.");
  std::vector<Value> pairs;
  if (subject.dict() != nullptr) {
    context.charge(subject.dict()->items.size() * 4 * sizeof(Value));
    for (const auto& [key, value] : subject.dict()->items)
      pairs.push_back(make_sequence(SequenceKind::kTuple, {key, value}));
  }
  return make_sequence(SequenceKind::kGenerator, std::move(pairs));
}

Value reverse(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("reverse", arguments, {});
  const Sequence* generator = subject.sequence();
  std::vector<Value> items = items_of(context, subject);
  std::reverse(items.begin(), items.end());
  if (generator != nullptr && generator->kind == SequenceKind::kGenerator)
    return make_sequence(SequenceKind::kList, std::move(items));
  if (subject.string() == nullptr) return make_sequence(SequenceKind::kGenerator, std::move(items));
  std::string text;
  for (const Value& item : items) text += *item.string();
  return text;
}

/// The rest of the positional arguments, for the filter or test that one names.
CallArguments tail(const CallArguments& arguments, std::size_t from) {
  CallArguments rest;
  for (std::size_t i = from; i < arguments.positional.size(); ++i) rest.positional.push_back(arguments.positional[i]);
  return rest;
}

std::string name_at(const CallArguments& arguments, std::size_t index, const char* what) {
  if (index >= arguments.positional.size() || arguments.positional[index].string() == nullptr) {
    render_error(std::string("the name of a ") + what + " is missing");
  }
  return *arguments.positional[index].string();
}

Value map_attribute(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("map", arguments, {"attribute", "default"});
  std::vector<Value> items = items_of(context, subject);
  for (Value& item : items) {
    item = attribute_of(item, parameters.required(0), optional(parameters, 1));
  }
  return make_sequence(SequenceKind::kGenerator, std::move(items));
}

/// map(attribute=…) or map("filter", arguments…).
Value map(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  if (arguments.positional.empty()) return map_attribute(context, subject, arguments);
  const std::string name = name_at(arguments, 0, "filter");
  const Filter filter = find_filter(name);
  if (filter == nullptr) render_error("the filter '" + name + "' is not supported");
  CallArguments rest = tail(arguments, 1);
  rest.named = arguments.named;
  std::vector<Value> items = items_of(context, subject);
  for (Value& item : items) {
    context.count_steps(1);
    item = apply_filter(context, filter, item, rest);
  }
  return make_sequence(SequenceKind::kGenerator, std::move(items));
}

/// select, reject, selectattr and rejectattr: the items that a test, or plain truth, is `wanted` for.
Value choose(RenderContext& context, const Value& subject, const CallArguments& arguments, bool by_attribute,
             bool wanted) {
  const std::size_t at = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty()) render_error("Missing parameter for attribute name");
  Test test = nullptr;
  if (arguments.positional.size() > at) {
    const std::string name = name_at(arguments, at, "test");
    test = find_test(name);
    if (test == nullptr) render_error("the test '" + name + "' is not supported");
  }
  CallArguments rest = tail(arguments, at + 1);
  rest.named = arguments.named;
  std::vector<Value> chosen;
  for (const Value& item : items_of(context, subject)) {
    const Value value = by_attribute ? attribute_of(item, arguments.positional[0]) : item;
    context.count_steps(1);
    if ((test != nullptr ? test(context, value, rest) : is_true(value)) == wanted) chosen.push_back(item);
  }
  return make_sequence(SequenceKind::kGenerator, std::move(chosen));
}

template <bool by_attribute, bool wanted>
Value choose_filter(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  return choose(context, subject, arguments, by_attribute, wanted);
}

/// Strings compare without regard to case unless asked otherwise.
Value sort_key(const Value& value, bool case_sensitive) {
  return value.string() != nullptr && !case_sensitive ? Value(to_lower(*value.string())) : value;
}

/// Sorts by keys made once, keeping the order of equals; Python keeps it in a reversed sort too.
template <typename Key>
std::vector<Value> sorted(RenderContext& context, const std::vector<Value>& items, bool reversed, Key key) {
  std::vector<std::pair<Value, std::size_t>> keyed;
  for (std::size_t i = 0; i < items.size(); ++i) keyed.emplace_back(key(items[i]), i);
  std::stable_sort(keyed.begin(), keyed.end(), [&context, reversed](const auto& a, const auto& b) {
    return reversed ? compare(context, "<", b.first, a.first) : compare(context, "<", a.first, b.first);
  });
  std::vector<Value> result;
  result.reserve(keyed.size());
  for (const auto& entry : keyed) result.push_back(items[entry.second]);
  return result;
}

/// The key of sort and groupby: an attribute, or for sort several with commas between them.
Value key_of(const Value& item, const Value* attribute, bool case_sensitive, const Value* fallback = nullptr) {
  if (attribute == nullptr) return sort_key(item, case_sensitive);
  return sort_key(attribute_of(item, *attribute, fallback), case_sensitive);
}

Value sort(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = parameters.flag(1, false);
  const Value* attribute = optional(parameters, 2);
  const bool several = attribute != nullptr && attribute->string() != nullptr;
  const auto key = [&](const Value& item) {
    if (!several) return key_of(item, attribute, case_sensitive);
    std::vector<Value> keys;
    for (const std::string_view name : split(*attribute->string(), ",", -1, Side::kLeft)) {
      const Value part(name);
      keys.push_back(key_of(item, &part, case_sensitive));
    }
    return make_sequence(SequenceKind::kList, std::move(keys));
  };
  return make_sequence(SequenceKind::kList,
                       sorted(context, items_of(context, subject), parameters.flag(0, false), key));
}

Value groupby(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("groupby", arguments, {"attribute", "default", "case_sensitive"});
  const Value& attribute = parameters.required(0);
  const Value* fallback = optional(parameters, 1);
  const bool case_sensitive = parameters.flag(2, false);
  const auto key = [&](const Value& item) { return key_of(item, &attribute, case_sensitive, fallback); };
  std::vector<Value> groups;
  std::vector<Value> group;
  const auto close = [&] {
    if (group.empty()) return;
    const Value grouper = attribute_of(group.front(), attribute, fallback);
    auto pair = std::make_shared<Sequence>(
        *make_sequence(SequenceKind::kTuple, {grouper, make_sequence(SequenceKind::kList, std::move(group))})
             .sequence());
    pair->field_names = "grouper list";
    groups.emplace_back(std::shared_ptr<const Sequence>(std::move(pair)));
    group.clear();
  };
  for (const Value& item : sorted(context, items_of(context, subject), false, key)) {
    if (!group.empty() && !compare(context, "==", key(group.front()), key(item))) close();
    group.push_back(item);
  }
  close();
  return make_sequence(SequenceKind::kList, std::move(groups));
}

Value dictsort(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = parameters.text(1, "key");
  if (by != "key" && by != "value") render_error("You can only sort by either \"key\" or \"value\"");
  if (subject.dict() == nullptr) render_error("dictsort() needs a dict, not " + std::string(type_name(subject)));
  const bool case_sensitive = parameters.flag(0, false);
  const std::size_t at = by == "key" ? 0 : 1;
  const auto key = [case_sensitive, at](const Value& pair) {
    return sort_key(pair.sequence()->items[at], case_sensitive);
  };
  const std::vector<Value> pairs = iterate(items_filter(context, subject, {}));
  return make_sequence(SequenceKind::kList, sorted(context, pairs, parameters.flag(2, false), key));
}

Value unique(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("unique", arguments, {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Value> result;
  for (const Value& item : items_of(context, subject)) {
    const Value key = key_of(item, optional(parameters, 1), parameters.flag(0, false));
    require_hashable(key);
    context.charge(weight_of(key) + 4 * sizeof(Value));
    if (seen.find(key) != nullptr) continue;
    seen.set(key, None{});
    result.push_back(item);
  }
  return make_sequence(SequenceKind::kGenerator, std::move(result));
}

/// Rows of `linecount` items, the last one filled up.
Value batch(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("batch", arguments, {"linecount", "fill_with"});
  parameters.required(0);
  const std::int64_t size = parameters.integer(0, 1);
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& item : items_of(context, subject)) {
    if (static_cast<std::int64_t>(row.size()) == size) {
      rows.push_back(make_sequence(SequenceKind::kList, std::move(row)));
      row.clear();
    }
    row.push_back(item);
  }
  if (!row.empty()) {
    const Value* fill = optional(parameters, 1);
    const std::int64_t missing = fill != nullptr ? size - static_cast<std::int64_t>(row.size()) : 0;
    if (missing > 0) {
      context.charge_text(static_cast<std::size_t>(missing) * sizeof(Value));
      row.insert(row.end(), static_cast<std::size_t>(missing), *fill);
    }
    rows.push_back(make_sequence(SequenceKind::kList, std::move(row)));
  }
  return make_sequence(SequenceKind::kGenerator, std::move(rows));
}

/// `slices` columns of nearly the same length.
Value slice(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("slice", arguments, {"slices", "fill_with"});
  parameters.required(0);
  const std::vector<Value> items = items_of(context, subject);
  const std::int64_t slices = parameters.integer(0, 1);
  if (slices == 0) render_error("integer division or modulo by zero");
  if (slices > 0) context.charge_text(static_cast<std::size_t>(std::min<std::int64_t>(slices, INT32_MAX)) * 64);
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t longer = slices > 0 ? size % slices : 0;
  std::vector<Value> columns;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < slices; ++i) {
    const std::int64_t end = begin + size / slices + (i < longer ? 1 : 0);
    std::vector<Value> column(items.begin() + begin, items.begin() + end);
    if (optional(parameters, 1) != nullptr && i >= longer) column.push_back(*optional(parameters, 1));
    columns.push_back(make_sequence(SequenceKind::kList, std::move(column)));
    begin = end;
  }
  return make_sequence(SequenceKind::kGenerator, std::move(columns));
}

/// The attribute, never the item.
Value attr(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("attr", arguments, {"name"});
  const std::string name = to_text(context, parameters.required(0));
  if (subject.dict() == nullptr) return get_attribute(subject, name);
  if (auto method = find_method(subject, name)) return *method;
  return Value::undefined("'dict object' has no attribute '" + name + "'");
}

Value sum(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters("sum", arguments, {"attribute", "start"});
  const Value* attribute = parameters.find(0);
  Value total = parameters.find(1) != nullptr ? *parameters.find(1) : Value(std::int64_t{0});
  for (const Value& item : items_of(context, subject)) {
    const bool whole = attribute == nullptr || attribute->is_none();
    total = find_operator("+")(context, total, whole ? item : attribute_of(item, *attribute));
  }
  return total;
}

template <bool want_less>
Value extreme(RenderContext& context, const Value& subject, const CallArguments& arguments) {
  const Parameters parameters(want_less ? "min" : "max", arguments, {"case_sensitive", "attribute"});
  const bool case_sensitive = parameters.flag(0, false);
  const Value* attribute = optional(parameters, 1);
  const std::vector<Value> items = items_of(context, subject);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  Value best = items.front();
  Value best_key = key_of(best, attribute, case_sensitive);
  for (std::size_t i = 1; i < items.size(); ++i) {
    Value key = key_of(items[i], attribute, case_sensitive);
    if (!compare(context, want_less ? "<" : ">", key, best_key)) continue;
    best = items[i];
    best_key = std::move(key);
  }
  return best;
}

}  // namespace

Filter find_list_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, Filter> filters = {{"first", &first},
                                                                       {"last", &last},
                                                                       {"join", &join},
                                                                       {"list", &list},
                                                                       {"items", &items_filter},
                                                                       {"reverse", &reverse},
                                                                       {"map", &map},
                                                                       {"select", &choose_filter<false, true>},
                                                                       {"reject", &choose_filter<false, false>},
                                                                       {"selectattr", &choose_filter<true, true>},
                                                                       {"rejectattr", &choose_filter<true, false>},
                                                                       {"sort", &sort},
                                                                       {"dictsort", &dictsort},
                                                                       {"unique", &unique},
                                                                       {"sum", &sum},
                                                                       {"groupby", &groupby},
                                                                       {"batch", &batch},
                                                                       {"slice", &slice},
                                                                       {"attr", &attr},
                                                                       {"min", &extreme<true>},
                                                                       {"max", &extreme<false>}};
  const auto found = filters.find(name);
  return found == filters.end() ? nullptr : found->second;
}

}  // namespace krait::server::jinja
