// Jinja's two ways into an object differ in their order only: x.name asks for the attribute first, x['name'] for the
// item. So a dict with a key "items" gives it for d['items'], and its method for d.items.
#include "server/chat/jinja/access.h"

#include <algorithm>

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

bool is_indexable(const Sequence& sequence) {
  return sequence.kind != SequenceKind::kView && sequence.kind != SequenceKind::kGenerator;
}

/// list[i] and string[i]; undefined outside, as Jinja has it.
Value get_element(const Value& object, std::int64_t index) {
  const Value outside =
      Value::undefined(std::string(type_name(object)) + " object has no element " + std::to_string(index));
  const std::int64_t size = length(object);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return outside;
  const auto at = static_cast<std::size_t>(index);
  if (object.string() != nullptr) return characters(*object.string())[at];
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

}  // namespace

Value get_attribute(const Value& object, const std::string& name) {
  require_defined(object);
  if (name.starts_with("__")) return missing(object, name);  // what the sandbox calls unsafe
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
  if (key.string() != nullptr)
    return object.dict() != nullptr && !find_method(object, *key.string()) ? missing(object, *key.string())
                                                                           : get_attribute(object, *key.string());
  return Value::undefined("'" + std::string(type_name(object)) + " object' has no such item");
}

Value get_slice(RenderContext& context, const Value& object, const SliceBounds& bounds) {
  require_defined(object);
  const Sequence* sequence = object.sequence();
  const bool is_list =
      sequence != nullptr && (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple);
  if (object.string() == nullptr && !is_list) {
    render_error("'" + std::string(type_name(object)) + "' object cannot be sliced");
  }
  if (object.is_markup()) render_error("slices of text marked safe are not supported");
  const std::vector<std::size_t> indices = slice_indices(length(object), bounds);
  if (object.string() != nullptr) {
    context.charge_text(object.string()->size());
    const std::vector<std::string_view> source = characters(*object.string());
    std::string text;
    for (const std::size_t index : indices) text += source[index];
    return text;
  }
  context.charge(indices.size() * sizeof(Value));
  std::vector<Value> items;
  for (const std::size_t index : indices) items.push_back(sequence->items[index]);
  return make_sequence(sequence->kind, std::move(items));
}

}  // namespace krait::server::jinja
