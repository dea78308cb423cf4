// Jinja's two ways into an object differ in their order only: x.name asks for the attribute first, x['name'] for the
// item. So a dict with a key "items" gives it for d['items'], and its method for d.items.
#include "server/chat/jinja/access.h"

#include <algorithm>
#include <array>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/strings.h"

namespace krait::server::jinja {
namespace {

Value missing(const Value& object, const std::string& name) {
  const std::string type = object.is_none() ? "None" : std::string(type_name(object)) + " object";
  return Value::undefined("'" + type + "' has no attribute '" + name + "'");
}

bool is_indexable(const Sequence& sequence) { return !sequence.is_view() && sequence.kind != SequenceKind::kGenerator; }

/// list[i] and string[i]; undefined outside, as Jinja has it.
Value get_element(const Value& object, std::int64_t index) {
  const Value outside =
      Value::undefined(std::string(type_name(object)) + " object has no element " + std::to_string(index));
  const std::int64_t size = length(object);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return outside;
  const auto at = static_cast<std::size_t>(index);
  if (object.string() != nullptr) {
    const std::string_view character = characters(*object.string())[at];
    return object.is_markup() ? Value::markup(std::string(character)) : Value(character);
  }
  return object.sequence()->items[at];
}

/// A bound as Python clamps it into the range that a walk with this step may start or end in.
std::int64_t clamp_bound(const Value& bound, std::int64_t fallback, std::int64_t size, bool backwards) {
  if (bound.is_none()) return fallback;
  require_defined(bound);
  if (!bound.is_integer() && !bound.is_bool()) render_error("slice indices must be integers or None");
  const std::int64_t value = bound.integer() < 0 ? std::max(bound.integer(), -size - 1) + size : bound.integer();
  const std::int64_t low = backwards ? -1 : 0;
  return std::clamp(value, low, backwards ? size - 1 : size);
}

std::vector<std::size_t> slice_indices(std::int64_t size, const SliceBounds& bounds) {
  std::int64_t step = 1;
  if (!bounds.step.is_none()) {
    require_defined(bounds.step);
    if (!bounds.step.is_integer()) render_error("slice indices must be integers or None");
    step = std::clamp<std::int64_t>(bounds.step.integer(), -size - 1, size + 1);
  }
  if (step == 0) render_error("slice step cannot be zero");
  const bool backwards = step < 0;
  const std::int64_t begin = clamp_bound(bounds.begin, backwards ? size - 1 : 0, size, backwards);
  const std::int64_t end = clamp_bound(bounds.end, backwards ? -1 : size, size, backwards);
  std::vector<std::size_t> indices;
  for (std::int64_t i = begin; backwards ? i > end : i < end; i += step) indices.push_back(static_cast<std::size_t>(i));
  return indices;
}

/// A range again, whose bounds lie where the slice's do.
Value slice_of_range(const Sequence& range, const SliceBounds& bounds, std::vector<Value> items) {
  const auto size = static_cast<std::int64_t>(range.items.size());
  const std::int64_t step = bounds.step.is_none() ? 1 : bounds.step.integer();
  const bool backwards = step < 0;
  const std::int64_t begin = clamp_bound(bounds.begin, backwards ? size - 1 : 0, size, backwards);
  const std::int64_t end = clamp_bound(bounds.end, backwards ? -1 : size, size, backwards);
  std::int64_t new_step = 0;
  if (__builtin_mul_overflow(range.step, step, &new_step)) render_error("an integer does not fit into 64 bits");
  return make_range(range.start + begin * range.step, range.start + end * range.step, new_step, std::move(items));
}

/// The attributes that Python's objects have and the sandbox hides. Other names with underscores are ordinary keys.
bool is_internal(const std::string& name) {
  constexpr std::array<std::string_view, 44> kNames = {
      "__abs__",      "__add__",       "__bool__",    "__call__",         "__class__",   "__class_getitem__",
      "__contains__", "__delattr__",   "__delitem__", "__dict__",         "__dir__",     "__doc__",
      "__eq__",       "__format__",    "__ge__",      "__getattribute__", "__getitem__", "__getnewargs__",
      "__getstate__", "__gt__",        "__hash__",    "__html__",         "__init__",    "__init_subclass__",
      "__int__",      "__ior__",       "__iter__",    "__le__",           "__len__",     "__lt__",
      "__mod__",      "__module__",    "__mul__",     "__ne__",           "__new__",     "__or__",
      "__reduce__",   "__reduce_ex__", "__repr__",    "__reversed__",     "__setattr__", "__setitem__",
      "__sizeof__",   "__str__"};
  return name == "__subclasshook__" || std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// A field of a tuple with named fields (what groupby gives), or null.
const Value* named_field(const Value& object, const std::string& name) {
  const Sequence* sequence = object.sequence();
  if (sequence == nullptr || sequence->field_names.empty()) return nullptr;
  const std::vector<std::string_view> names = split(sequence->field_names, " ", -1, Side::kLeft);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &sequence->items[i];
  }
  return nullptr;
}

}  // namespace

Value get_attribute(const Value& object, const std::string& name) {
  if (!is_internal(name)) require_defined(object);
  if (is_internal(name)) return missing(object, name);  // what the sandbox calls unsafe
  if (object.callable() != nullptr) return object.callable()->attribute(name);
  if (const Value* field = named_field(object, name)) return *field;
  if (Object* mutable_object = object.object()) return mutable_object->attribute(name);
  if (auto method = find_method(object, name)) return *method;
  const Value* item = object.dict() != nullptr ? object.dict()->find_name(name) : nullptr;
  return item != nullptr ? *item : missing(object, name);
}

Value get_item(const Value& object, const Value& key) {
  require_defined(object);
  if (object.dict() != nullptr) {
    if (const Value* item = object.dict()->find(key)) return *item;
  }
  const Sequence* sequence = object.sequence();
  const bool indexable = object.string() != nullptr || (sequence != nullptr && is_indexable(*sequence));
  if (indexable && key.is_number() && !key.is_float()) return get_element(object, key.integer());
  if (key.string() != nullptr) {
    if (object.dict() == nullptr) return get_attribute(object, *key.string());
    if (auto method = find_method(object, *key.string())) return *method;
    return missing(object, *key.string());
  }
  return Value::undefined("'" + std::string(type_name(object)) + " object' has no such item");
}

Value get_slice(RenderContext& context, const Value& object, const SliceBounds& bounds) {
  require_defined(object);
  const Sequence* sequence = object.sequence();
  const bool is_list =
      sequence != nullptr && (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple ||
                              sequence->kind == SequenceKind::kRange);
  if (object.string() == nullptr && !is_list) {
    render_error("'" + std::string(type_name(object)) + "' object cannot be sliced");
  }
  const std::vector<std::size_t> indices = slice_indices(length(object), bounds);
  if (object.string() != nullptr) {
    context.charge_text(object.string()->size());
    context.count_steps(object.string()->size() / 16);
    const std::vector<std::string_view> source = characters(*object.string());
    std::string text;
    for (const std::size_t index : indices) text += source[index];
    return object.is_markup() ? Value::markup(std::move(text)) : Value(std::move(text));
  }
  context.charge(indices.size() * sizeof(Value));
  std::vector<Value> items;
  for (const std::size_t index : indices) items.push_back(sequence->items[index]);
  if (sequence->kind == SequenceKind::kRange) return slice_of_range(*sequence, bounds, std::move(items));
  return make_sequence(sequence->kind, std::move(items));
}

}  // namespace krait::server::jinja
