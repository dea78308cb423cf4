// Parsing and rendering end, in a text or an error, whatever a template says. An input is a template, and behind a zero
// byte a JSON object of variables; without one, a small conversation.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "models/tokenizer/utf8.h"
#include "server/chat/chat_template.h"

namespace {

/// Small bounds, so that each input takes milliseconds.
constexpr krait::server::RenderLimits kFuzzLimits{.max_steps = 20'000, .max_text = 1U << 18, .max_allocated = 1U << 22};

const nlohmann::ordered_json& conversation() {
  static const auto context = nlohmann::ordered_json::parse(R"({
      "messages": [
        {"role": "system", "content": "Be brief.\n"},
        {"role": "user", "content": [{"type": "text", "text": "W\u00e4rme \ud83d\ude00 <b>"}]},
        {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
          {"id": "a1", "type": "function", "function": {"name": "f", "arguments": {"x": 1.5, "y": [true, null, "'"]}}}]},
        {"role": "tool", "tool_call_id": "a1", "content": "{\"n\": 18446744073709551615}"}],
      "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
      "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>",
      "n": -7, "x": 0.1, "s": "  a-B c\tD ", "l": [3, 1, 2], "d": {"b": 1, "a": {"c": [0]}}})");
  return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = input.find('\0');
  const auto parsed = krait::server::ChatTemplate::parse(input.substr(0, split));
  if (!parsed.ok()) return 0;
  nlohmann::ordered_json context = conversation();
  if (split != std::string_view::npos) {
    context = nlohmann::ordered_json::parse(input.substr(split + 1), nullptr, false);
    if (context.is_discarded()) return 0;
  }
  const auto text = (*parsed)->render(context, {.now = {}, .limits = kFuzzLimits});
  if (text.ok() && !krait::is_valid_utf8(*text)) std::abort();
  return 0;
}
