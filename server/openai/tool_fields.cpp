#include "server/openai/tool_fields.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace krait::server {
namespace {

constexpr std::size_t kMaxTools = 128;  // OpenAI's
constexpr std::size_t kMaxNameBytes = 64;

Error invalid(const std::string& field, const std::string& message) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field};
}

bool is_valid_name(const std::string& name) {
  const auto is_name_character = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, is_name_character);
}

/// One tool; its name, or what is wrong with it.
Result<std::string> check_tool(const std::string& at, const Json& tool) {
  if (!tool.is_object()) return invalid(at, at + " must be an object, found " + describe_value(tool));
  FieldReader outer(tool, at + ".");
  const auto type = outer.text("type");
  if (type != "function") {
    outer.fail("type", "\"function\"", type.has_value() ? Json(*type) : Json(nullptr));
  }
  const Json* function = outer.object("function");
  if (function == nullptr) outer.fail("function", "an object with a name", nullptr);
  if (Status status = outer.status(); !status.ok()) return status.error();
  FieldReader inner(*function, at + ".function.");
  const auto name = inner.text("name");
  if (!name.has_value() || !is_valid_name(*name)) {
    inner.fail("name", "1 to 64 letters, digits, underscores and dashes",
               name.has_value() ? Json(*name) : Json(nullptr));
  }
  inner.text("description");
  inner.object("parameters");
  inner.flag("strict", false);
  if (Status status = inner.status(); !status.ok()) return status.error();
  return *name;
}

/// The name in {"type": "function", "function": {"name"}}.
std::optional<std::string> chosen_name(FieldReader& reader, const Json& choice) {
  FieldReader outer(choice, "tool_choice.");
  const auto type = outer.text("type");
  if (type.has_value() && type != "function") {
    reader.fail(Error{.code = ErrorCode::kUnsupported,
                      .message = "tool_choice of type " + describe_value(*type) + " is not served; valid: function",
                      .field = "tool_choice"});
    return std::nullopt;
  }
  const Json* function = outer.object("function");
  std::optional<std::string> name;
  if (function != nullptr) name = FieldReader(*function, "tool_choice.function.").text("name");
  if (!name.has_value()) {
    reader.fail("tool_choice",
                "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}", choice);
  }
  return name;
}

bool has_tool(const Json& tools, const std::string& name) {
  return std::ranges::any_of(tools, [&](const Json& tool) { return tool["function"]["name"] == name; });
}

}  // namespace

Json read_tools(FieldReader& reader) {
  const Json* tools = reader.find("tools");
  if (tools == nullptr) return nullptr;
  if (!tools->is_array() || tools->size() > kMaxTools) {
    reader.fail("tools", "a list of at most " + std::to_string(kMaxTools) + " tools", *tools);
    return nullptr;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string at = "tools[" + std::to_string(i) + "]";
    const Result<std::string> name = check_tool(at, (*tools)[i]);
    if (!name.ok()) {
      reader.fail(name.error());
    } else if (!names.insert(*name).second) {
      reader.fail(invalid(at + ".function.name", at + ".function.name is " + *name + ", which an earlier tool has"));
    }
  }
  return tools->empty() || !reader.status().ok() ? Json(nullptr) : *tools;
}

void read_tool_choice(FieldReader& reader, GenerationRequest& request) {
  Json& tools = request.chat->tools;
  request.parallel_tool_calls = reader.flag("parallel_tool_calls", true);
  const Json* choice = reader.find("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice == "none") {
    // A model that sees tools calls them; the API promises that it will not.
    request.tool_choice.mode = ToolChoiceMode::kNone;
    tools = nullptr;
    return;
  }
  if (*choice == "required") {
    request.tool_choice.mode = ToolChoiceMode::kRequired;
  } else if (choice->is_object()) {
    const auto name = chosen_name(reader, *choice);
    if (!name.has_value()) return;
    request.tool_choice = {.mode = ToolChoiceMode::kNamed, .name = *name};
  } else {
    return reader.fail("tool_choice",
                       "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}",
                       *choice);
  }
  if (tools.is_null()) {
    return reader.fail(
        invalid("tool_choice", "tool_choice " + describe_value(*choice) + " needs tools, and there are none"));
  }
  if (request.tool_choice.mode == ToolChoiceMode::kNamed && !has_tool(tools, request.tool_choice.name)) {
    reader.fail(invalid("tool_choice", "tool_choice names the function " + describe_value(request.tool_choice.name) +
                                           ", which is not among the tools"));
  }
}

}  // namespace krait::server
