// JSON to values, with the keys of objects in their order.
#include "server/chat/jinja/from_json.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "models/tokenizer/utf8.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"

namespace krait::server::jinja {
namespace {

std::string checked(const std::string& text) {
  if (!is_valid_utf8(text)) render_error("a string is not valid UTF-8");
  return text;
}

Value convert(const nlohmann::ordered_json& json, int depth) {
  if (depth > kLimits.max_value_depth) throw TemplateError(Failure::kLimit, "the values are nested too deeply");
  if (json.is_null()) return None{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_string()) return checked(json.get_ref<const std::string&>());
  if (json.is_number_float()) return json.get<double>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return Value::large_integer(json.get<std::uint64_t>());
  }
  if (json.is_number()) return json.get<std::int64_t>();
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.size());
    for (const auto& item : json) items.push_back(convert(item, depth + 1));
    return make_sequence(SequenceKind::kList, std::move(items));
  }
  if (!json.is_object()) render_error("a value is not JSON");
  Dict dict;
  for (const auto& [key, value] : json.items()) dict.set(checked(key), convert(value, depth + 1));
  return make_dict(std::move(dict));
}

}  // namespace

Value from_json(const nlohmann::ordered_json& json) { return convert(json, 0); }

}  // namespace krait::server::jinja
