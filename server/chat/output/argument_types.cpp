#include "server/chat/output/argument_types.h"

#include "server/chat/output/call_body.h"
#include "server/chat/output/json_scan.h"

namespace krait::server {
namespace {

constexpr int kMaxSchemaDepth = 32;

struct Types {
  bool string = false;  ///< any string
  bool choice = false;  ///< certain strings
  bool other = false;
  bool unknown = false;
};

const nlohmann::ordered_json* resolve(const nlohmann::ordered_json& root, const std::string& reference) {
  if (!reference.starts_with("#/")) return nullptr;
  try {
    const nlohmann::ordered_json::json_pointer pointer(reference.substr(1));
    return root.contains(pointer) ? &root.at(pointer) : nullptr;
  } catch (const nlohmann::json::exception&) {
    return nullptr;
  }
}

void add_type(const nlohmann::ordered_json& type, Types& types) {
  if (!type.is_string()) {
    types.unknown = true;
  } else if (type == "string") {
    types.string = true;
  } else {
    types.other = true;
  }
}

/// Whether a value of the schema may be a string, and may be anything else. Steps bound schemas that refer to
/// themselves.
void collect(const nlohmann::ordered_json& root, const nlohmann::ordered_json& schema, int depth, int& steps,
             Types& types) {
  if (!schema.is_object() || depth > kMaxSchemaDepth || --steps < 0) {
    types.unknown = true;
    return;
  }
  if (const auto constant = schema.find("const"); constant != schema.end()) {
    (constant->is_string() ? types.choice : types.other) = true;
    return;
  }
  if (const auto values = schema.find("enum"); values != schema.end() && values->is_array()) {
    for (const auto& value : *values) (value.is_string() ? types.choice : types.other) = true;
    return;
  }
  if (const auto type = schema.find("type"); type != schema.end()) {
    if (type->is_array()) {
      for (const auto& one : *type) add_type(one, types);
    } else {
      add_type(*type, types);
    }
    return;
  }
  for (const char* key : {"anyOf", "oneOf", "allOf"}) {
    const auto choices = schema.find(key);
    if (choices == schema.end() || !choices->is_array()) continue;
    for (const auto& choice : *choices) collect(root, choice, depth + 1, steps, types);
    return;
  }
  if (const auto reference = schema.find("$ref"); reference != schema.end() && reference->is_string()) {
    if (const auto* target = resolve(root, reference->get<std::string>())) {
      collect(root, *target, depth + 1, steps, types);
      return;
    }
  }
  if (schema.contains("properties") || schema.contains("items")) {
    types.other = true;
    return;
  }
  types.unknown = true;
}

ArgumentKind kind_of(const nlohmann::ordered_json& root, const nlohmann::ordered_json& schema) {
  Types types;
  int steps = 1000;
  collect(root, schema, 0, steps, types);
  const bool some_string = types.string || types.choice;
  if (types.unknown || (some_string && types.other)) return ArgumentKind::kAny;
  if (types.string) return ArgumentKind::kString;
  if (types.choice) return ArgumentKind::kChoice;
  return types.other ? ArgumentKind::kOther : ArgumentKind::kAny;
}

}  // namespace

ArgumentTypes::ArgumentTypes(const std::vector<ToolDefinition>& tools) {
  for (const ToolDefinition& tool : tools) {
    auto& kinds = tools_[tool.name];
    if (!tool.parameters.is_object()) continue;
    const auto properties = tool.parameters.find("properties");
    if (properties == tool.parameters.end() || !properties->is_object()) continue;
    for (const auto& [name, schema] : properties->items()) kinds[name] = kind_of(tool.parameters, schema);
  }
}

ArgumentKind ArgumentTypes::kind(std::string_view tool, std::string_view parameter) const {
  const auto found = tools_.find(tool);
  if (found == tools_.end()) return ArgumentKind::kAny;
  const auto kind = found->second.find(parameter);
  return kind == found->second.end() ? ArgumentKind::kAny : kind->second;
}

std::string argument_json(std::string_view text, ArgumentKind kind) {
  if (kind == ArgumentKind::kString) return json_quoted(std::string(text));
  std::string_view inner = text;
  while (!inner.empty() && is_blank(inner.front())) inner.remove_prefix(1);
  while (!inner.empty() && is_blank(inner.back())) inner.remove_suffix(1);
  if (kind == ArgumentKind::kChoice) return json_quoted(std::string(inner));
  if (inner == "True" || inner == "False") return inner == "True" ? "true" : "false";
  if (inner == "None") return "null";
  // The scan bounds the depth before the parser, which recurses in none of its checks, sees it.
  JsonValueScan scan;
  bool sane = !inner.empty();
  for (std::size_t i = 0; i < inner.size() && sane; ++i) {
    const auto step = scan.feed(inner[i]);
    sane = step == JsonValueScan::Step::kMore || (step == JsonValueScan::Step::kDone && i + 1 == inner.size());
  }
  // A quoted string, where a string may stand without quotes, is that text with its quotes.
  const bool quoted = !inner.empty() && inner.front() == '"' && kind == ArgumentKind::kAny;
  if (sane && !quoted && nlohmann::json::accept(inner)) return std::string(inner);
  return json_quoted(std::string(text));
}

}  // namespace krait::server
