#pragma once

#include <string>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// object.name: the method or attribute, else the item; undefined if there is neither.
Value get_attribute(const Value& object, const std::string& name);
/// object[key]: the item, else the method or attribute; undefined if there is neither.
Value get_item(const Value& object, const Value& key);

/// Bounds of a slice; None for one that is left out.
struct SliceBounds {
  Value begin;
  Value end;
  Value step;
};
/// Of a string, a list or a tuple.
Value get_slice(RenderContext& context, const Value& object, const SliceBounds& bounds);

}  // namespace krait::server::jinja
