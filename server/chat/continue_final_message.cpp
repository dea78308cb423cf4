#include "server/chat/continue_final_message.h"

#include <array>
#include <vector>

#include "server/chat/jinja/strings.h"

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

// The blank at its end tells whether the template trims what it prints.
constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr std::array<const char*, 3> kReasoningFields = {"reasoning_content", "thinking", "reasoning"};

Error refused(const std::string& what) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = "continue_final_message is set but " + what,
          .field = "continue_final_message"};
}

bool is_reasoning(const std::string& field) {
  for (const char* name : kReasoningFields) {
    if (field == name) return true;
  }
  return false;
}

/// The last part that has a text.
Json* last_text(Json& parts) {
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->is_object() && part->contains("text")) return &(*part)["text"];
  }
  return nullptr;
}

}  // namespace

Result<FinalMessageMark> FinalMessageMark::put(Json& messages, const std::string& field, std::string_view source) {
  if (!messages.is_array() || messages.empty()) return refused("the conversation is empty");
  Json& last = messages.back();
  if (!last.is_object() || !last.contains(field) || last[field].is_null())
    return refused("the final message has no \"" + field + "\" to continue");
  const Json value = last[field];
  std::vector<std::string> fields;
  if (!is_reasoning(field)) fields.push_back(field);
  for (const char* name : kReasoningFields) {
    if (is_reasoning(field) && last.contains(name) && last[name] == value) fields.emplace_back(name);
  }
  bool mentioned = false;
  for (const std::string& name : fields) mentioned = mentioned || source.find(name) != std::string_view::npos;
  if (!mentioned) return refused("the chat template does not use the field \"" + field + "\"");
  if (value.is_array()) {
    Json* text = last_text(last[field]);
    if (text == nullptr || !text->is_string()) return refused("there is no text to continue in the final message");
    FinalMessageMark mark(text->get<std::string>());
    text->get_ref<std::string&>() += kMark;
    return mark;
  }
  if (!value.is_string()) return refused("the final message's \"" + field + "\" is not a text");
  for (const std::string& name : fields) last[name].get_ref<std::string&>() += kMark;
  return FinalMessageMark(value.get<std::string>());
}

Result<std::string> FinalMessageMark::cut(std::string prompt) const {
  const std::string_view trimmed = kMark.substr(0, kMark.size() - 1);
  const std::size_t at = prompt.rfind(trimmed);
  if (at == std::string::npos || prompt.find(jinja::strip(text_, jinja::Side::kBoth)) == std::string::npos)
    return refused("the final message does not appear in the text that the chat template makes");
  const bool spaces_kept = prompt.compare(at, kMark.size(), kMark) == 0;
  prompt.resize(at);
  return spaces_kept ? prompt : std::string(jinja::strip(prompt, jinja::Side::kRight));
}

}  // namespace krait::server
