#include "server/openai/chat_messages.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "server/openai/json_text.h"

namespace krait::server {
namespace {

constexpr std::array<std::string_view, 4> kRoles = {"system", "developer", "user", "assistant"};

/// A value of the wrong type at a place such as "messages[1].content".
Error must_be(const std::string& field, const std::string& expected, const nlohmann::ordered_json& found) {
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

/// Roles are checked here and not only by the template, whose errors name no place.
Status check_role(const std::string& at, const nlohmann::ordered_json& message) {
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string()) {
    return must_be(at + ".role", "a string", role == message.end() ? nlohmann::ordered_json() : *role);
  }
  const auto name = role->get<std::string>();
  for (std::string_view known : kRoles) {
    if (name == known) return ok_status();
  }
  if (name == "tool" || name == "function") return not_served(at + ".role", "the role " + name);
  return must_be(at + ".role", "one of system, developer, user and assistant", *role);
}

/// Only text parts are served; an image is refused, never skipped.
Result<std::string> part_text(const std::string& at, const nlohmann::ordered_json& part) {
  if (part.is_string()) return part.get<std::string>();
  if (!part.is_object()) return must_be(at, "a text part", part);
  const std::string type =
      part.value("type", nlohmann::ordered_json()).is_string() ? part["type"].get<std::string>() : "";
  if (type != "text") return not_served(at + ".type", "a content part of type '" + type + "'");
  const auto text = part.find("text");
  if (text == part.end() || !text->is_string()) {
    return must_be(at + ".text", "a string", text == part.end() ? nlohmann::ordered_json() : *text);
  }
  return text->get<std::string>();
}

/// An assistant may have said nothing; everybody else must have content.
Result<std::string> content_text(const std::string& at, const nlohmann::ordered_json& message) {
  const auto content = message.find("content");
  const bool absent = content == message.end() || content->is_null();
  if (absent && message["role"] == "assistant") return std::string();
  if (absent) return must_be(at, "a string or a list of text parts", nullptr);
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return must_be(at, "a string or a list of text parts", *content);
  std::string joined;
  for (std::size_t i = 0; i < content->size(); ++i) {
    Result<std::string> text = part_text(at + "[" + std::to_string(i) + "]", (*content)[i]);
    if (!text.ok()) return text;
    if (i > 0) joined += '\n';
    joined += *text;
  }
  return joined;
}

/// Other keys ("name") go through: templates may print them.
Result<nlohmann::ordered_json> normalise_message(const std::string& at, const nlohmann::ordered_json& message) {
  if (!message.is_object()) return must_be(at, "an object with role and content", message);
  if (Status status = check_role(at, message); !status.ok()) return status.error();
  for (const char* name : {"tool_calls", "function_call"}) {
    const auto value = message.find(name);
    if (value != message.end() && !value->is_null() && !value->empty()) return not_served(at + "." + name, name);
  }
  Result<std::string> text = content_text(at + ".content", message);
  if (!text.ok()) return std::move(text).error();
  nlohmann::ordered_json out = message;
  out.erase("tool_calls");
  out.erase("function_call");
  out["content"] = std::move(*text);
  return out;
}

}  // namespace

Result<nlohmann::ordered_json> normalise_messages(const nlohmann::ordered_json& messages) {
  if (!messages.is_array() || messages.empty()) return must_be("messages", "a list of at least one message", messages);
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Result<nlohmann::ordered_json> message = normalise_message("messages[" + std::to_string(i) + "]", messages[i]);
    if (!message.ok()) return message;
    out.push_back(std::move(*message));
  }
  return out;
}

}  // namespace krait::server
