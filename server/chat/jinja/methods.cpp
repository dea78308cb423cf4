// Which methods values have. A name falls into one of four classes: implemented; refused by the sandbox (undefined, as
// there); known to Python but not implemented (an error); unknown (undefined).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/operators.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/string_methods.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

using Table = std::unordered_map<std::string_view, Method>;
template <std::size_t n>
using Names = std::array<std::string_view, n>;

// What Python has and this interpreter lacks: using one is an error, because taking it for a missing attribute would be
// wrong.
constexpr Names<4> kOtherStringMethods = {"encode", "isidentifier", "maketrans", "translate"};
// Of ranges, dict views and generators.
constexpr Names<5> kOtherIterableMethods = {"send", "throw", "close", "isdisjoint", "mapping"};
constexpr Names<7> kNumberMethods = {"as_integer_ratio", "bit_count", "from_bytes", "to_bytes", "hex",
                                     "fromhex",          "conjugate"};
// What would change a value: the sandbox lets nobody have it.
constexpr Names<8> kListMutators = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
constexpr Names<5> kDictMutators = {"clear", "pop", "popitem", "setdefault", "update"};

template <std::size_t n>
bool has(const Names<n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value get(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  if (!arguments.named.empty()) render_error("get() takes no named arguments");
  const Parameters parameters("get", arguments, {"key", "default"});
  require_hashable(parameters.required(0));
  const Value* value = self.dict()->find(parameters.required(0));
  if (value != nullptr) return *value;
  return parameters.find(1) != nullptr ? *parameters.find(1) : Value(None{});
}

enum class Part { kKeys, kValues, kItems };

template <Part part>
Value view(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("dict view", arguments, {});
  std::vector<Value> parts;
  context.charge(self.dict()->items.size() * 4 * sizeof(Value));
  for (const auto& [key, value] : self.dict()->items) {
    if (part == Part::kItems) {
      parts.push_back(make_sequence(SequenceKind::kTuple, {key, value}));
    } else {
      parts.push_back(part == Part::kKeys ? key : value);
    }
  }
  constexpr SequenceKind kKinds[] = {SequenceKind::kKeys, SequenceKind::kValues, SequenceKind::kItems};
  return make_sequence(kKinds[static_cast<std::size_t>(part)], std::move(parts));
}

Value count(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("count", arguments, {"value"});
  const Value& wanted = parameters.required(0);
  const auto& items = self.sequence()->items;
  context.count_steps(weight_of(self) / 64);
  return std::int64_t{
      std::count_if(items.begin(), items.end(), [&wanted](const Value& item) { return equals(item, wanted); })};
}

Value index(RenderContext& context, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("index", arguments, {"value"});
  const Value& wanted = parameters.required(0);
  const auto& items = self.sequence()->items;
  context.count_steps(weight_of(self) / 64);
  const auto found =
      std::find_if(items.begin(), items.end(), [&wanted](const Value& item) { return equals(item, wanted); });
  if (found == items.end()) render_error("the value is not in the list");
  return std::int64_t{found - items.begin()};
}

/// Values do not change, so that a copy is the value itself.
Value copy(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("copy", arguments, {});
  return self;
}

/// dict.fromkeys, which looks at nothing of the dict it is asked of.
Value fromkeys(RenderContext& context, const Value& /*self*/, const CallArguments& arguments) {
  const Parameters parameters("fromkeys", arguments, {"iterable", "value"});
  Dict dict;
  for (const Value& key : iterate(context, parameters.required(0))) {
    context.charge(4 * sizeof(Value));
    dict.set(key, parameters.find(1) != nullptr ? *parameters.find(1) : Value(None{}));
  }
  return make_dict(std::move(dict));
}

Value is_whole(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("is_integer", arguments, {});
  return self.number() == std::floor(self.number()) && std::isfinite(self.number());
}

Value bit_length(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("bit_length", arguments, {});
  const std::int64_t value = self.integer();
  const auto magnitude =
      value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  return static_cast<std::int64_t>(std::bit_width(magnitude));
}

const Table& dict_methods() {
  static const Table table = {
      {"get", &get},   {"keys", &view<Part::kKeys>}, {"values", &view<Part::kValues>}, {"items", &view<Part::kItems>},
      {"copy", &copy}, {"fromkeys", &fromkeys}};
  return table;
}

const Table& list_methods() {
  static const Table table = {{"count", &count}, {"index", &index}, {"copy", &copy}};
  return table;
}

const Table& number_methods(bool is_float) {
  static const Table integers = {{"bit_length", &bit_length}};
  static const Table floats = {{"is_integer", &is_whole}};
  return is_float ? floats : integers;
}

class BoundMethod : public Callable {
 public:
  BoundMethod(Value self, Method method) : self_(std::move(self)), method_(method) {}
  Value call(RenderContext& context, const CallArguments& arguments) const override {
    return method_(context, self_, arguments);
  }

 private:
  Value self_;
  Method method_;
};

std::optional<Value> bind(const Value& object, const Table& table, std::string_view name) {
  const auto found = table.find(name);
  if (found == table.end()) return std::nullopt;
  return Value(std::shared_ptr<const Callable>(std::make_shared<BoundMethod>(object, found->second)));
}

[[noreturn]] void not_implemented(const Value& object, std::string_view name) {
  render_error("the method '" + std::string(name) + "' of '" + std::string(type_name(object)) + "' is not supported");
}

Value refused(const Value& object, std::string_view name) {
  return Value::undefined("access to attribute '" + std::string(name) + "' of '" + std::string(type_name(object)) +
                          "' object is unsafe.");
}

std::optional<Value> find_sequence_method(const Value& object, std::string_view name) {
  const Sequence& sequence = *object.sequence();
  const SequenceKind kind = sequence.kind;
  if (kind == SequenceKind::kList && has(kListMutators, name)) return refused(object, name);
  if (kind == SequenceKind::kRange && name == "start") return sequence.start;
  if (kind == SequenceKind::kRange && name == "stop") return sequence.stop;
  if (kind == SequenceKind::kRange && name == "step") return sequence.step;
  if (kind == SequenceKind::kList || (kind <= SequenceKind::kRange && name != "copy"))
    return bind(object, list_methods(), name);
  if (has(kOtherIterableMethods, name)) not_implemented(object, name);
  return std::nullopt;
}

std::optional<Value> find_number_attribute(const Value& object, std::string_view name) {
  if (name == "real" || (name == "numerator" && !object.is_float())) return plus(object);
  if (name == "imag") return object.is_float() ? Value(0.0) : Value(std::int64_t{0});
  if (name == "denominator" && !object.is_float()) return std::int64_t{1};
  if (has(kNumberMethods, name)) not_implemented(object, name);
  return bind(object, number_methods(object.is_float()), name);
}

/// Text, or the texts in a list or tuple, marked safe.
Value marked(const Value& value) {
  if (value.string() != nullptr) return Value::markup(*value.string());
  if (value.sequence() == nullptr) return value;
  std::vector<Value> items = value.sequence()->items;
  for (Value& item : items) item = marked(item);
  return make_sequence(value.sequence()->kind, std::move(items));
}

/// Of text marked safe these would have to escape what they are given.
constexpr Names<3> kEscapingMethods = {"format", "format_map", "join"};

/// A method of text marked safe, whose result is marked too.
class MarkupMethod : public Callable {
 public:
  MarkupMethod(Value self, Method method, bool replaces)
      : self_(std::move(self)), method_(method), replaces_(replaces) {}
  Value call(RenderContext& context, const CallArguments& arguments) const override {
    if (!replaces_ || arguments.positional.size() < 2 || arguments.positional[1].string() == nullptr ||
        arguments.positional[1].is_markup()) {
      return marked(method_(context, self_, arguments));
    }
    CallArguments escaped = arguments;
    escaped.positional[1] = escape_html(*arguments.positional[1].string());
    return marked(method_(context, self_, escaped));
  }

 private:
  Value self_;
  Method method_;
  bool replaces_;
};

}  // namespace

std::optional<Value> find_method(const Value& object, std::string_view name) {
  if (object.string() != nullptr) {
    if (has(kOtherStringMethods, name)) not_implemented(object, name);
    if (!object.is_markup()) return bind(object, string_methods(), name);
    const auto found = string_methods().find(name);
    if (found == string_methods().end()) return std::nullopt;
    if (has(kEscapingMethods, name)) not_implemented(object, name);
    return Value(
        std::shared_ptr<const Callable>(std::make_shared<MarkupMethod>(object, found->second, name == "replace")));
  }
  if (object.dict() != nullptr) {
    if (has(kDictMutators, name)) return refused(object, name);
    return bind(object, dict_methods(), name);
  }
  if (object.sequence() != nullptr) return find_sequence_method(object, name);
  if (object.is_number()) return find_number_attribute(object, name);
  return std::nullopt;
}

}  // namespace krait::server::jinja
