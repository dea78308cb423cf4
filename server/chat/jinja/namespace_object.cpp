#include "server/chat/jinja/namespace_object.h"

#include <algorithm>

#include "server/chat/jinja/error.h"

namespace krait::server::jinja {

Value Namespace::attribute(const std::string& name) {
  const auto found =
      std::find_if(attributes_.begin(), attributes_.end(), [&name](const auto& entry) { return entry.first == name; });
  if (found != attributes_.end()) return found->second;
  return Value::undefined("'Namespace object' has no attribute '" + name + "'");
}

std::string Namespace::text() const {
  Dict dict;
  for (const auto& [name, value] : attributes_) {
    // What it holds may hold it in turn.
    if (value.sequence() != nullptr || value.dict() != nullptr || value.object() != nullptr)
      render_error("a namespace that holds lists or objects cannot be turned into text");
    dict.set(name, value);
  }
  return "<Namespace " + to_repr(make_dict(std::move(dict))) + ">";
}

void Namespace::set_attribute(const std::string& name, Value value) {
  if (name.starts_with('_'))
    render_error("cannot store the underscore-prefixed attribute '" + name + "' on a namespace");
  const auto found =
      std::find_if(attributes_.begin(), attributes_.end(), [&name](const auto& entry) { return entry.first == name; });
  if (found != attributes_.end()) {
    found->second = std::move(value);
  } else {
    attributes_.emplace_back(name, std::move(value));
  }
}

}  // namespace krait::server::jinja
