#include "server/chat/content_format.h"

#include <string>
#include <utility>
#include <vector>

#include "server/chat/chat_input.h"

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNeedle = "kraitprobe";

/// Small bounds: a template that needs more for three messages is not worth the wait.
RenderOptions probe_options() {
  RenderOptions options;
  options.limits = {.max_steps = 100'000,
                    .max_text = 1U << 20,
                    .max_allocated = 16U << 20,
                    .max_time = std::chrono::milliseconds(500)};
  return options;
}

/// How a probe came out.
enum class Outcome { kFailed, kMissing, kDumped, kPrinted };

/// Renders `messages`; the needle is `dumped` when what stands around it shows that the structure itself was printed.
Outcome probe(const ChatTemplate& chat_template, const Json& messages, const Json& tools, const std::string& dumped) {
  const Json context = {{"messages", messages},          {"tools", tools},     {"documents", nullptr},
                        {"add_generation_prompt", true}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const Result<std::string> text = chat_template.render(context, probe_options());
  if (!text.ok()) return Outcome::kFailed;
  if (text->find(kNeedle) == std::string::npos) return Outcome::kMissing;
  return text->find(dumped) != std::string::npos ? Outcome::kDumped : Outcome::kPrinted;
}

Outcome probe_content(const ChatTemplate& chat_template, const Json& content) {
  const Json messages = Json::array({{{"role", "user"}, {"content", content}}});
  const Outcome outcome = probe(chat_template, messages, nullptr, std::string("'text': '") + kNeedle);
  return outcome == Outcome::kPrinted &&
                 probe(chat_template, messages, nullptr, std::string("\"text\": \"") + kNeedle) == Outcome::kDumped
             ? Outcome::kDumped
             : outcome;
}

Outcome probe_arguments(const ChatTemplate& chat_template, const Json& arguments, const Json& content) {
  const Json call = {
      {"id", "call00001"}, {"type", "function"}, {"function", {{"name", "look"}, {"arguments", arguments}}}};
  const Json messages =
      Json::array({{{"role", "user"}, {"content", "hi"}},
                   {{"role", "assistant"}, {"content", content}, {"tool_calls", Json::array({call})}},
                   {{"role", "tool"}, {"tool_call_id", "call00001"}, {"name", "look"}, {"content", "1"}}});
  const Json tool = {
      {"type", "function"},
      {"function",
       {{"name", "look"},
        {"description", "looks"},
        {"parameters", {{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}}}}}};
  const std::string dumped = std::string("{'") + kNeedle;  // a dict as Python prints it is no form of a call
  const Outcome with_tools = probe(chat_template, messages, Json::array({tool}), dumped);
  return with_tools != Outcome::kFailed ? with_tools : probe(chat_template, messages, nullptr, dumped);
}

Outcome probe_arguments(const ChatTemplate& chat_template, const Json& arguments) {
  const Outcome outcome = probe_arguments(chat_template, arguments, "");
  return outcome != Outcome::kFailed ? outcome : probe_arguments(chat_template, arguments, nullptr);
}

bool all_text(const Json& parts) {
  for (const Json& part : parts) {
    const bool text = part.is_string() || (part.is_object() && part.contains("text") && part["text"].is_string() &&
                                           (!part.contains("type") || part["type"] == "text"));
    if (!text) return false;
  }
  return true;
}

std::string joined(const Json& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += '\n';
    text += (parts[i].is_string() ? parts[i] : parts[i]["text"]).get<std::string>();
  }
  return text;
}

void adapt_content(Json& content, const TemplateForms& forms) {
  if (content.is_array() && !forms.text_parts && all_text(content)) {
    content = joined(content);
  } else if (content.is_string() && !forms.plain_text && forms.text_parts) {
    content = Json::array({{{"type", "text"}, {"text", content}}});
  }
}

void adapt_arguments(Json& call, bool want_object) {
  Json* holder = call.is_object() && call.contains("function") ? &call["function"] : &call;
  if (!holder->is_object() || !holder->contains("arguments")) return;
  Json& arguments = (*holder)["arguments"];
  if (want_object && arguments.is_string()) {
    const auto& text = arguments.get_ref<const std::string&>();
    Json value = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
    if (!value.is_discarded()) arguments = std::move(value);
  } else if (!want_object && !arguments.is_string()) {
    arguments = arguments.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

}  // namespace

TemplateForms detect_forms(const ChatTemplate& chat_template) {
  TemplateForms forms;
  const Json parts = Json::array({{{"type", "text"}, {"text", kNeedle}}});
  forms.text_parts = probe_content(chat_template, parts) == Outcome::kPrinted;
  forms.plain_text = probe_content(chat_template, kNeedle) == Outcome::kPrinted || !forms.text_parts;
  const Outcome object = probe_arguments(chat_template, {{kNeedle, "v"}});
  if (object != Outcome::kPrinted) {
    const Outcome text = probe_arguments(chat_template, std::string("{\"") + kNeedle + "\": \"v\"}");
    forms.object_arguments = text != Outcome::kPrinted;
  }
  return forms;
}

Json adapt_messages(const Json& messages, const TemplateForms& forms) {
  Json adapted = Json::array();
  for (const Json& message : messages) {
    if (!message.is_object()) {
      adapted.push_back(message);
      continue;
    }
    Json kept = Json::object();
    for (const auto& [key, value] : message.items()) {
      if (!value.is_null()) append_member(kept, key, value);
    }
    if (kept.contains("content")) adapt_content(kept["content"], forms);
    if (kept.contains("tool_calls") && kept["tool_calls"].is_array()) {
      for (Json& call : kept["tool_calls"]) adapt_arguments(call, forms.object_arguments);
    }
    adapted.push_back(std::move(kept));
  }
  return adapted;
}

}  // namespace krait::server
