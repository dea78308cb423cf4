#include "server/openai/chat_messages.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "server/openai/message_tool_calls.h"

namespace krait::server {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};

/// A value of the wrong type at a place such as "messages[1].content".
Error must_be(const std::string& field, const std::string& expected, const Json& found) {
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = field + " must be " + expected + ", found " + describe_value(found),
               .field = field};
}

/// Something the API knows and this version does not.
Error not_served(const std::string& field, const std::string& what) {
  return Error{.code = ErrorCode::kUnsupported,
               .message = field + ": " + what + " is not served by this version of Krait",
               .field = field};
}

Json value_or_null(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? Json(nullptr) : *found;
}

/// Roles are checked here and not only by the template, whose errors name no place.
Status check_role(const std::string& at, const Json& message) {
  const Json role = value_or_null(message, "role");
  if (!role.is_string()) return must_be(at + ".role", "a string", role);
  const auto name = role.get<std::string>();
  if (std::ranges::find(kRoles, name) != kRoles.end()) return ok_status();
  if (name == "function") return not_served(at + ".role", "the role function (its successor is tool)");
  return must_be(at + ".role", "one of system, developer, user, assistant and tool", role);
}

/// Only text parts are served; an image is refused, never skipped.
Result<std::string> part_text(const std::string& at, const Json& part) {
  if (part.is_string()) return part.get<std::string>();
  if (!part.is_object()) return must_be(at, "a text part", part);
  const Json type = value_or_null(part, "type");
  if (!type.is_string()) return must_be(at + ".type", "a string", type);
  if (type != "text" && type != "refusal") {
    return not_served(at + ".type", "a content part of type " + describe_value(type));
  }
  const auto name = type.get<std::string>();
  const Json text = value_or_null(part, name.c_str());
  if (!text.is_string()) return must_be(at + "." + name, "a string", text);
  return text.get<std::string>();
}

/// An assistant may have said nothing; everybody else must have content. Parts stay parts: which form the template
/// takes is known where it is rendered.
Result<Json> read_content(const std::string& at, const Json& message) {
  Json content = value_or_null(message, "content");
  if (content.is_null() && message["role"] == "assistant") return Json("");
  if (content.is_string()) return content;
  if (!content.is_array()) return must_be(at, "a string or a list of text parts", content);
  Json parts = Json::array();
  for (std::size_t i = 0; i < content.size(); ++i) {
    Result<std::string> text = part_text(at + "[" + std::to_string(i) + "]", content[i]);
    if (!text.ok()) return std::move(text).error();
    parts.push_back({{"type", "text"}, {"text", std::move(*text)}});
  }
  return parts;
}

/// Fields that are text wherever they are.
Status check_texts(const std::string& at, const Json& message) {
  for (const char* name : {"name", "tool_call_id", "reasoning_content", "reasoning", "thinking", "refusal"}) {
    const Json value = value_or_null(message, name);
    if (!value.is_null() && !value.is_string()) return must_be(at + "." + name, "a string", value);
  }
  for (const char* name : {"function_call", "audio"}) {
    const Json value = value_or_null(message, name);
    if (!value.is_null() && !value.empty()) return not_served(at + "." + name, name);
  }
  return ok_status();
}

/// Only the assistant calls tools. An empty list is what some clients send for none.
Status normalise_calls(const std::string& at, Json& message) {
  const Json calls = value_or_null(message, "tool_calls");
  message.erase("tool_calls");
  if (calls.is_null() || (calls.is_array() && calls.empty())) return ok_status();
  const std::string field = at + ".tool_calls";
  if (message["role"] != "assistant") {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = field + ": only a message of the role assistant may have tool_calls",
                 .field = field};
  }
  Result<Json> normalised = normalise_tool_calls(field, calls);
  if (!normalised.ok()) return normalised.error();
  message["tool_calls"] = std::move(*normalised);
  return ok_status();
}

/// Other keys go through: templates may print them.
Result<Json> normalise_message(const std::string& at, const Json& message) {
  if (!message.is_object()) return must_be(at, "an object with role and content", message);
  if (Status status = check_role(at, message); !status.ok()) return status.error();
  if (Status status = check_texts(at, message); !status.ok()) return status.error();
  Result<Json> content = read_content(at + ".content", message);
  if (!content.ok()) return content;
  Json out = message;
  out.erase("function_call");
  out.erase("audio");
  out["content"] = std::move(*content);
  if (Status status = normalise_calls(at, out); !status.ok()) return status.error();
  return out;
}

}  // namespace

Result<Json> normalise_messages(const Json& messages) {
  if (!messages.is_array() || messages.empty()) return must_be("messages", "a list of at least one message", messages);
  Json out = Json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Result<Json> message = normalise_message("messages[" + std::to_string(i) + "]", messages[i]);
    if (!message.ok()) return message;
    out.push_back(std::move(*message));
  }
  return out;
}

}  // namespace krait::server
