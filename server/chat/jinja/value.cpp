// Values, their lengths and their items. Nesting is bounded where values are made, so that no walk over one needs a
// bound of its own.
#include "server/chat/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

/// Of what is nested so often that it could not be printed anyway.
constexpr std::size_t kMaxWeight = std::size_t{1} << 40;
constexpr std::size_t kMaxKeyWeight = std::size_t{1} << 24;
constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

int depth_of(const Value& value) {
  if (const Sequence* sequence = value.sequence()) return sequence->depth;
  if (const Dict* dict = value.dict()) return dict->depth;
  return 0;
}

int checked_depth(int depth) {
  if (depth > kLimits.max_value_depth) throw TemplateError(Failure::kLimit, "values are nested too deeply");
  return depth;
}

template <typename T>
const T* shared(const Value::Data& data) {
  const auto* pointer = std::get_if<std::shared_ptr<const T>>(&data);
  return pointer != nullptr ? pointer->get() : nullptr;
}

/// Equal for keys that are equal, and only for those.
std::string hash_text(const Value& key) {
  if (key.is_float()) {
    const double number = key.number();
    if (number == std::floor(number) && std::abs(number) < 9e18)
      return std::to_string(static_cast<std::int64_t>(number));
    return float_text(number);
  }
  if (key.is_number()) return std::to_string(key.integer());
  if (key.is_large_integer()) return to_repr(key);
  if (const std::string* text = key.string()) return quoted(*text);
  if (key.is_none()) return "None";
  if (key.is_undefined()) return "Undefined";
  std::string text(type_name(key));
  const Sequence* sequence = key.sequence();
  if (sequence != nullptr && sequence->kind != SequenceKind::kGenerator) {
    for (const Value& item : sequence->items) text += " " + hash_text(item);
    return text + ")";
  }
  const void* address = sequence;
  if (address == nullptr) address = key.callable();
  if (address == nullptr) address = key.object();
  return text + std::to_string(reinterpret_cast<std::uintptr_t>(address));
}

}  // namespace

std::string Callable::text() const { render_error("a function cannot be turned into text"); }

Value Callable::attribute(const std::string& name) const {
  return Value::undefined("'function object' has no attribute '" + name + "'");
}

Value Object::call(RenderContext& /*context*/, const CallArguments& /*arguments*/) {
  render_error("'" + std::string(type_name()) + "' object is not callable");
}

std::string Object::text() const {
  render_error("a value of type '" + std::string(type_name()) + "' cannot be turned into text");
}

void Object::set_attribute(const std::string& name, Value /*value*/) {
  render_error("cannot assign attribute '" + name + "' on non-namespace object");
}

Value Value::undefined(std::string reason) {
  Value value;
  value.data_ = Undefined{.reason = std::make_shared<const std::string>(std::move(reason))};
  return value;
}

Value Value::large_integer(std::uint64_t number) {
  Value value;
  value.data_ = number;
  return value;
}

Value Value::markup(std::string text) {
  Value value(std::move(text));
  value.markup_ = true;
  return value;
}

const std::string* Value::string() const { return shared<std::string>(data_); }
const Sequence* Value::sequence() const { return shared<Sequence>(data_); }
const Dict* Value::dict() const { return shared<Dict>(data_); }
const Callable* Value::callable() const { return shared<Callable>(data_); }

Object* Value::object() const {
  const auto* pointer = std::get_if<Object*>(&data_);
  return pointer != nullptr ? *pointer : nullptr;
}

std::int64_t Value::integer() const {
  return is_bool() ? (std::get<bool>(data_) ? 1 : 0) : std::get<std::int64_t>(data_);
}

double Value::number() const { return is_float() ? std::get<double>(data_) : static_cast<double>(integer()); }

const std::string& Value::undefined_reason() const {
  static const std::string plain = "the value is undefined";
  const auto* value = std::get_if<Undefined>(&data_);
  return value != nullptr && value->reason ? *value->reason : plain;
}

std::size_t Dict::index_of(const Value& key) const {
  if (const std::string* name = key.string()) {
    const auto found = names_.find(*name);
    return found == names_.end() ? kNowhere : found->second;
  }
  const auto found = others_.find(hash_text(key));
  return found == others_.end() ? kNowhere : found->second;
}

const Value* Dict::find(const Value& key) const {
  const std::size_t index = index_of(key);
  return index == kNowhere ? nullptr : &items[index].second;
}

const Value* Dict::find_name(std::string_view name) const {
  const auto found = names_.find(std::string(name));
  return found == names_.end() ? nullptr : &items[found->second].second;
}

void require_hashable(const Value& key) {
  const Sequence* sequence = key.sequence();
  const bool mutable_list = sequence != nullptr && sequence->kind == SequenceKind::kList;
  if (key.dict() != nullptr || mutable_list) render_error("unhashable type: '" + std::string(type_name(key)) + "'");
  if (sequence == nullptr || sequence->kind != SequenceKind::kTuple) return;
  for (const Value& item : sequence->items) require_hashable(item);
}

void Dict::set(Value key, Value value) {
  require_hashable(key);
  if (weight_of(key) > kMaxKeyWeight) throw TemplateError(Failure::kLimit, "a key is too long");
  depth = checked_depth(std::max(depth, depth_of(value) + 1));
  const std::size_t index = index_of(key);
  if (index != kNowhere) {
    weight = std::min(kMaxWeight, weight + weight_of(value));
    items[index].second = std::move(value);
    return;
  }
  weight = std::min(kMaxWeight, weight + weight_of(key) + weight_of(value) + 4);
  if (const std::string* name = key.string()) {
    names_.emplace(*name, items.size());
  } else {
    others_.emplace(hash_text(key), items.size());
  }
  items.emplace_back(std::move(key), std::move(value));
}

Value make_sequence(SequenceKind kind, std::vector<Value> items) {
  Sequence sequence{.kind = kind, .items = std::move(items)};
  for (const Value& item : sequence.items) {
    sequence.depth = std::max(sequence.depth, depth_of(item) + 1);
    sequence.weight = std::min(kMaxWeight, sequence.weight + weight_of(item) + 2);
  }
  checked_depth(sequence.depth);
  return std::make_shared<const Sequence>(std::move(sequence));
}

Value make_range(std::int64_t start, std::int64_t stop, std::int64_t step, std::vector<Value> items) {
  Sequence sequence{.kind = SequenceKind::kRange, .items = std::move(items)};
  sequence.weight += sequence.items.size() * 4;
  sequence.start = start;
  sequence.stop = stop;
  sequence.step = step;
  return std::make_shared<const Sequence>(std::move(sequence));
}

std::size_t weight_of(const Value& value) {
  if (const std::string* text = value.string()) return text->size() + 2;
  if (const Sequence* sequence = value.sequence()) return sequence->weight;
  if (const Dict* dict = value.dict()) return dict->weight;
  return 4;
}

Value make_dict(Dict dict) { return std::make_shared<const Dict>(std::move(dict)); }

std::string_view type_name(const Value& value) {
  if (const Sequence* sequence = value.sequence()) {
    constexpr std::string_view kNames[] = {"list",        "tuple",      "range",    "dict_keys",
                                           "dict_values", "dict_items", "generator"};
    return kNames[static_cast<std::size_t>(sequence->kind)];
  }
  if (const Object* object = value.object()) return object->type_name();
  constexpr std::string_view kNames[] = {"Undefined", "NoneType", "bool", "int",      "float", "int",
                                         "str",       "",         "dict", "function", ""};
  if (value.is_markup()) return "Markup";
  return kNames[value.data().index()];
}

const Value& require_defined(const Value& value) {
  if (value.is_undefined()) render_error(value.undefined_reason());
  return value;
}

bool is_true(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_number()) return value.number() != 0.0;
  if (const std::string* text = value.string()) return !text->empty();
  if (const Dict* dict = value.dict()) return !dict->items.empty();
  const Sequence* sequence = value.sequence();
  return sequence == nullptr || sequence->kind == SequenceKind::kGenerator || !sequence->items.empty();
}

std::vector<Value> iterate(const Value& value) {
  if (value.is_undefined()) return {};
  std::vector<Value> items;
  if (const Sequence* sequence = value.sequence()) {
    if (sequence->kind != SequenceKind::kGenerator) return sequence->items;
    const std::size_t first = std::exchange(sequence->taken, sequence->items.size());
    return {sequence->items.begin() + static_cast<std::ptrdiff_t>(first), sequence->items.end()};
  }
  if (const Dict* dict = value.dict()) {
    for (const auto& item : dict->items) items.push_back(item.first);
    return items;
  }
  if (const std::string* text = value.string()) {
    for (const std::string_view character : characters(*text)) items.emplace_back(character);
    return items;
  }
  render_error("'" + std::string(type_name(value)) + "' object is not iterable");
}

std::vector<Value> iterate(RenderContext& context, const Value& value) {
  std::size_t count = 0;
  if (const Sequence* sequence = value.sequence()) count = sequence->items.size() - sequence->taken;
  if (const Dict* dict = value.dict()) count = dict->items.size();
  const std::size_t characters = value.string() != nullptr ? value.string()->size() : 0;
  context.count_steps((count + characters) / 8);
  context.charge(count * sizeof(Value) + characters * (sizeof(Value) + 2 * sizeof(std::string)));
  return iterate(value);
}

void leave_rest(const Value& value, std::size_t count) {
  const Sequence* sequence = value.sequence();
  if (sequence != nullptr && sequence->kind == SequenceKind::kGenerator)
    sequence->taken = sequence->items.size() - count;
}

std::int64_t length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (const std::string* text = value.string()) return count_characters(*text);
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->items.size());
  const Sequence* sequence = value.sequence();
  if (sequence != nullptr && sequence->kind != SequenceKind::kGenerator) {
    return static_cast<std::int64_t>(sequence->items.size());
  }
  render_error("object of type '" + std::string(type_name(value)) + "' has no len()");
}

}  // namespace krait::server::jinja
