// Values, their lengths and their items. Nesting is bounded where values are made, so that no walk over one needs a
// bound of its own.
#include "server/chat/jinja/value.h"

#include <algorithm>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

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

}  // namespace

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
  const auto found =
      std::find_if(items.begin(), items.end(), [&key](const auto& item) { return equals(item.first, key); });
  return found == items.end() ? kNowhere : static_cast<std::size_t>(found - items.begin());
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
  depth = checked_depth(std::max(depth, depth_of(value) + 1));
  const std::size_t index = index_of(key);
  if (index != kNowhere) {
    items[index].second = std::move(value);
    return;
  }
  if (const std::string* name = key.string()) names_.emplace(*name, items.size());
  items.emplace_back(std::move(key), std::move(value));
}

Value make_sequence(SequenceKind kind, std::vector<Value> items) {
  int depth = 1;
  for (const Value& item : items) depth = std::max(depth, depth_of(item) + 1);
  return std::make_shared<const Sequence>(
      Sequence{.kind = kind, .items = std::move(items), .depth = checked_depth(depth)});
}

Value make_dict(Dict dict) { return std::make_shared<const Dict>(std::move(dict)); }

std::string_view type_name(const Value& value) {
  if (const Sequence* sequence = value.sequence()) {
    constexpr std::string_view kNames[] = {"list", "tuple", "range", "dict view", "generator"};
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
    if (sequence->consumed) return {};
    sequence->consumed = sequence->kind == SequenceKind::kGenerator;
    return sequence->items;
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
