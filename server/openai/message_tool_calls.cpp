#include "server/openai/message_tool_calls.h"

#include <optional>
#include <utility>

#include "server/openai/field_reader.h"

namespace krait::server {
namespace {

/// An object, or a text that holds one.
Result<Json> read_arguments(const std::string& field, const Json& arguments) {
  const auto wrong = [&](const std::string& what) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = field + " must be the text of a JSON object, " + what,
                 .field = field};
  };
  if (arguments.is_null()) return Json::object();
  if (arguments.is_object()) return arguments;
  if (!arguments.is_string()) return wrong("found " + describe_value(arguments));
  const auto& text = arguments.get_ref<const std::string&>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Json::object();
  Result<Json> value = parse_json(text, field);
  if (!value.ok()) return wrong("found " + describe_value(arguments));
  if (value->is_null()) return Json::object();
  if (!value->is_object()) return wrong("found " + describe_value(arguments));
  return value;
}

Result<Json> normalise_call(const std::string& at, const Json& call) {
  if (!call.is_object()) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = at + " must be an object, found " + describe_value(call),
                 .field = at};
  }
  FieldReader outer(call, at + ".");
  outer.text("id");
  const auto type = outer.text("type");
  if (type.has_value() && type != "function") outer.fail("type", "\"function\"", Json(*type));
  const Json* function = outer.object("function");
  if (function == nullptr) outer.fail("function", "an object with name and arguments", nullptr);
  if (Status status = outer.status(); !status.ok()) return status.error();
  FieldReader inner(*function, at + ".function.");
  const auto name = inner.text("name");
  if (!name.has_value()) inner.fail("name", "a string", nullptr);
  if (Status status = inner.status(); !status.ok()) return status.error();
  const Json* given = inner.find("arguments");
  Result<Json> arguments = read_arguments(at + ".function.arguments", given == nullptr ? Json(nullptr) : *given);
  if (!arguments.ok()) return arguments;
  Json out = call;
  out["type"] = "function";
  out["function"]["arguments"] = std::move(*arguments);
  return out;
}

}  // namespace

Result<Json> normalise_tool_calls(const std::string& at, const Json& calls) {
  if (!calls.is_array()) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = at + " must be a list of tool calls, found " + describe_value(calls),
                 .field = at};
  }
  Json out = Json::array();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Result<Json> call = normalise_call(at + "[" + std::to_string(i) + "]", calls[i]);
    if (!call.ok()) return call;
    out.push_back(std::move(*call));
  }
  return out;
}

}  // namespace krait::server
