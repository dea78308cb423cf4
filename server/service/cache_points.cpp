#include "server/service/cache_points.h"

#include <algorithm>

namespace krait::server {
namespace {

/// Bytes that both begin with, down to a whole character.
std::size_t common_text(const std::string& a, const std::string& b) {
  auto length = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  const auto is_continuation = [&](std::size_t at) { return at < a.size() && (a[at] & 0xC0) == 0x80; };
  while (length > 0 && is_continuation(length)) --length;
  return length;
}

/// The system messages, then a question that nobody asks.
nlohmann::ordered_json other_question(const nlohmann::ordered_json& messages) {
  auto other = nlohmann::ordered_json::array();
  for (const auto& message : messages) {
    const auto role = message.find("role");
    if (role == message.end() || (*role != "system" && *role != "developer")) break;
    other.push_back(message);
  }
  other.push_back({{"role", "user"}, {"content", "\x7f"}});
  return other;
}

}  // namespace

std::vector<std::int32_t> chat_cache_points(const ChatInput& chat, const ServedModel& model, const std::string& text,
                                            std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> points;
  const auto add = [&](const ChatInput& other) {
    const Result<std::string> rendered = model.render_chat(other);
    if (!rendered.ok()) return;
    const std::size_t common = common_text(text, *rendered);
    const auto tokens = model.tokenizer->encode(text.substr(0, common), EncodeOptions{.add_special_tokens = false});
    if (!tokens.ok()) return;
    const auto shared = std::ranges::mismatch(*tokens, ids).in1 - tokens->begin();
    if (shared > 0) points.push_back(static_cast<std::int32_t>(shared));
  };
  ChatInput other = chat;
  other.add_generation_prompt = false;
  if (!chat.continue_final_message) add(other);
  other.continue_final_message = false;
  other.messages = other_question(chat.messages);
  add(other);
  std::ranges::sort(points);
  return points;
}

}  // namespace krait::server
