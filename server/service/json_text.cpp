#include "server/service/json_text.h"

#include <optional>

#include "server/service/ordered_parse.h"
#include "server/service/utf8.h"

namespace krait::server {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxFields = 1024;  // finding one by its name is linear in their number
constexpr std::size_t kMaxShownBytes = 60;

Error bad_text(const std::string& message) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = {}};
}

/// Where the nesting passes kMaxDepth; checked before parsing, because values are printed and destroyed recursively.
std::optional<std::size_t> find_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if ((c == '{' || c == '[') && ++depth > kMaxDepth) return i;
    if (c == '}' || c == ']') --depth;
  }
  return std::nullopt;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& what) {
  if (const auto at = find_invalid_utf8(text)) {
    return bad_text(what + " is not valid UTF-8 at byte " + std::to_string(*at));
  }
  if (const auto at = find_too_deep(text)) {
    return bad_text(what + " is nested more than " + std::to_string(kMaxDepth) + " deep at byte " +
                    std::to_string(*at));
  }
  try {
    return parse_ordered_json(text);
  } catch (const nlohmann::json::exception& error) {
    // Its text is "[json.exception.parse_error.101] parse error at line 1, column 5: …".
    const std::string message = error.what();
    const std::size_t start = message.find("] ");
    return bad_text(what + " is not valid JSON: " + (start == std::string::npos ? message : message.substr(start + 2)));
  }
}

Result<Json> parse_json_object(std::string_view text, const std::string& what) {
  Result<Json> value = parse_json(text, what);
  if (!value.ok()) return value;
  if (value->is_object() && value->size() > kMaxFields) {
    return bad_text(what + " has more than " + std::to_string(kMaxFields) + " fields");
  }
  if (value->is_object()) return value;
  return bad_text(what + " must be a JSON object, found " + describe_value(*value));
}

std::string dump_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string describe_value(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return value.empty() ? "an empty list" : "a list";
  std::string text = dump_json(value);
  if (text.size() <= kMaxShownBytes) return text;
  std::size_t end = kMaxShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

}  // namespace krait::server
