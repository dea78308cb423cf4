// Which methods values have. A name falls into one of four classes: implemented; refused by the sandbox (undefined, as
// there); known to Python but not implemented (an error); unknown (undefined).
#include <algorithm>
#include <array>
#include <unordered_map>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/string_methods.h"

namespace krait::server::jinja {
namespace {

using Table = std::unordered_map<std::string_view, Method>;
template <std::size_t n>
using Names = std::array<std::string_view, n>;

// What Python has and this interpreter lacks: using one is an error, because taking it for a missing attribute would be
// wrong.
constexpr Names<26> kOtherStringMethods = {
    "casefold",    "center",     "encode",   "expandtabs", "format",       "format_map", "index",
    "isalnum",     "isalpha",    "isascii",  "isdecimal",  "isidentifier", "islower",    "isnumeric",
    "isprintable", "isspace",    "istitle",  "isupper",    "ljust",        "maketrans",  "rindex",
    "rjust",       "rpartition", "swapcase", "translate",  "zfill"};
constexpr Names<2> kOtherDictMethods = {"copy", "fromkeys"};
constexpr Names<1> kOtherListMethods = {"copy"};
// Of ranges, dict views and generators.
constexpr Names<10> kOtherIterableMethods = {"count", "index", "start", "stop",       "step",
                                             "send",  "throw", "close", "isdisjoint", "mapping"};
constexpr Names<8> kNumberAttributes = {"as_integer_ratio", "bit_count", "bit_length", "conjugate",
                                        "denominator",      "imag",      "numerator",  "real"};
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
  return make_sequence(SequenceKind::kView, std::move(parts));
}

Value count(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("count", arguments, {"value"});
  const Value& wanted = parameters.required(0);
  const auto& items = self.sequence()->items;
  return std::int64_t{
      std::count_if(items.begin(), items.end(), [&wanted](const Value& item) { return equals(item, wanted); })};
}

Value index(RenderContext& /*context*/, const Value& self, const CallArguments& arguments) {
  const Parameters parameters("index", arguments, {"value"});
  const Value& wanted = parameters.required(0);
  const auto& items = self.sequence()->items;
  const auto found =
      std::find_if(items.begin(), items.end(), [&wanted](const Value& item) { return equals(item, wanted); });
  if (found == items.end()) render_error("the value is not in the list");
  return std::int64_t{found - items.begin()};
}

const Table& dict_methods() {
  static const Table table = {
      {"get", &get}, {"keys", &view<Part::kKeys>}, {"values", &view<Part::kValues>}, {"items", &view<Part::kItems>}};
  return table;
}

const Table& list_methods() {
  static const Table table = {{"count", &count}, {"index", &index}};
  return table;
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
  const SequenceKind kind = object.sequence()->kind;
  if (kind == SequenceKind::kList && has(kListMutators, name)) return refused(object, name);
  if (kind == SequenceKind::kList && has(kOtherListMethods, name)) not_implemented(object, name);
  if (kind == SequenceKind::kList || kind == SequenceKind::kTuple) return bind(object, list_methods(), name);
  if (has(kOtherIterableMethods, name)) not_implemented(object, name);
  return std::nullopt;
}

}  // namespace

bool is_method_name(std::string_view name) {
  return string_methods().contains(name) || dict_methods().contains(name) || list_methods().contains(name) ||
         has(kListMutators, name) || has(kDictMutators, name) || name == "cycle" || name == "changed";
}

std::optional<Value> find_method(const Value& object, std::string_view name) {
  if (object.string() != nullptr) {
    if (object.is_markup() && string_methods().contains(name)) not_implemented(object, name);
    if (has(kOtherStringMethods, name)) not_implemented(object, name);
    return bind(object, string_methods(), name);
  }
  if (object.dict() != nullptr) {
    if (has(kDictMutators, name)) return refused(object, name);
    if (has(kOtherDictMethods, name)) not_implemented(object, name);
    return bind(object, dict_methods(), name);
  }
  if (object.sequence() != nullptr) return find_sequence_method(object, name);
  if (object.is_number() && has(kNumberAttributes, name)) not_implemented(object, name);
  return std::nullopt;
}

}  // namespace krait::server::jinja
