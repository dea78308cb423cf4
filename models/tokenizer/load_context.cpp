#include "models/tokenizer/load_context.h"

#include "models/tokenizer/utf8.h"

namespace krait {

void LoadContext::corrupt(const std::string& what) const {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = file + ": " + what, .field = file});
}

void LoadContext::unsupported(const std::string& what) const {
  throw StartupError(Error{.code = ErrorCode::kUnsupported, .message = file + ": " + what, .field = file});
}

void LoadContext::unknown_type(const std::string& kind, const std::string& type) const {
  unsupported(kind + " type '" + type + "' is not supported");
}

std::string LoadContext::component_type(const nlohmann::json& component, const std::string& kind) const {
  if (!component.is_object()) corrupt(kind + " is not an object");
  return string_field(component, kind, "type");
}

const nlohmann::json& LoadContext::required(const nlohmann::json& component, const std::string& kind,
                                            const std::string& name) const {
  const auto found = component.find(name);
  if (found == component.end()) corrupt(kind + " lacks the field '" + name + "'");
  return *found;
}

const nlohmann::json& LoadContext::required_array(const nlohmann::json& component, const std::string& kind,
                                                  const std::string& name) const {
  const nlohmann::json& value = required(component, kind, name);
  if (!value.is_array()) corrupt(kind + "." + name + " is not an array");
  return value;
}

std::string LoadContext::string_field(const nlohmann::json& component, const std::string& kind,
                                      const std::string& name) const {
  const nlohmann::json& value = required(component, kind, name);
  if (!value.is_string()) corrupt(kind + "." + name + " is not a string");
  return value.get<std::string>();
}

bool LoadContext::bool_field(const nlohmann::json& component, const std::string& kind, const std::string& name,
                             bool fallback) const {
  const auto found = component.find(name);
  if (found == component.end() || found->is_null()) return fallback;
  if (!found->is_boolean()) corrupt(kind + "." + name + " is not true or false");
  return found->get<bool>();
}

bool LoadContext::required_bool(const nlohmann::json& component, const std::string& kind,
                                const std::string& name) const {
  const nlohmann::json& value = required(component, kind, name);
  if (!value.is_boolean()) corrupt(kind + "." + name + " is not true or false");
  return value.get<bool>();
}

char32_t LoadContext::character_field(const nlohmann::json& component, const std::string& kind,
                                      const std::string& name) const {
  const std::string text = string_field(component, kind, name);
  std::size_t pos = 0;
  const char32_t character = text.empty() ? U'\0' : next_code_point(text, pos);
  if (text.empty() || pos != text.size()) {
    corrupt(kind + "." + name + " is '" + text + "', which is not one character");
  }
  return character;
}

std::size_t LoadContext::size_field(const nlohmann::json& component, const std::string& kind, const std::string& name,
                                    std::optional<std::size_t> fallback) const {
  const auto found = component.find(name);
  if (fallback && (found == component.end() || found->is_null())) return *fallback;
  const nlohmann::json& value = required(component, kind, name);
  if (!value.is_number_unsigned()) corrupt(kind + "." + name + " is not a number from 0");
  return value.get<std::size_t>();
}

std::int32_t LoadContext::token_id(const nlohmann::json& value, const std::string& where) const {
  if (!value.is_number_integer()) corrupt(where + ": the token id is not an integer");
  const auto id = value.get<std::int64_t>();
  if (id < 0 || id > kMaxTokenId) corrupt(where + ": token id " + std::to_string(id) + " is out of range");
  return static_cast<std::int32_t>(id);
}

}  // namespace krait
