// Which template a conversation gets and which variables it sees follow transformers, so that a checkpoint needs no
// changes.
#include "server/chat/chat_formatter.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "server/chat/continue_final_message.h"

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

Error refused(const std::string& message, const std::string& field) {
  return {.code = ErrorCode::kInvalidArgument, .message = message, .field = field};
}

/// As transformers does: the reasoning of a message, under whichever name the client sent it, is offered under the two
/// names that templates look for. The order of the keys is part of it: a template may print the message.
Json with_reasoning(const Json& message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const auto found = message.find(name);
    if (found == message.end() || found->is_null()) continue;
    Json offered = Json::object();
    if (!message.contains("thinking")) offered["thinking"] = *found;
    for (const auto& [key, value] : message.items()) append_member(offered, key, value);
    offered["reasoning_content"] = *found;
    return offered;
  }
  return message;
}

Status check_objects(const Json& list, const std::string& field) {
  if (list.is_null()) return ok_status();
  if (!list.is_array()) return refused(field + " must be a list", field);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_object())
      return refused(field + "[" + std::to_string(i) + "] must be an object", field + "[" + std::to_string(i) + "]");
  }
  return ok_status();
}

Status check(const ChatInput& input) {
  if (!input.messages.is_array()) return refused("messages must be a list", "messages");
  for (const auto& [list, field] : {std::pair(&input.messages, "messages"), std::pair(&input.tools, "tools"),
                                    std::pair(&input.documents, "documents")}) {
    if (Status status = check_objects(*list, field); !status.ok()) return status;
  }
  if (!input.kwargs.is_object() && !input.kwargs.is_null())
    return refused("chat_template_kwargs must be an object", "chat_template_kwargs");
  for (const char* name : {"messages", "tools", "documents", "add_generation_prompt"}) {
    if (input.kwargs.is_object() && input.kwargs.contains(name))
      return refused(std::string("chat_template_kwargs must not hold '") + name + "', which is a field of its own",
                     "chat_template_kwargs");
  }
  return ok_status();
}

}  // namespace

Result<ChatFormatter> ChatFormatter::load(const std::string& model_folder, const std::string& template_override) {
  Result<TemplateFiles> files = read_template_files(model_folder);
  if (!files.ok()) return std::move(files).error();
  ChatFormatter formatter;
  formatter.special_tokens_ = std::move(files->special_tokens);
  if (files->templates.contains(template_override)) {
    formatter.chosen_ = template_override;
  } else if (!template_override.empty()) {
    auto templates = read_template_file(template_override);
    if (!templates.ok()) {
      Error error = std::move(templates).error();
      std::string names;
      for (const auto& [name, source] : files->templates) names += (names.empty() ? "" : ", ") + name;
      if (!names.empty()) error.message += "; templates of the model: " + names;
      return Error{.code = error.code, .message = "--chat-template: " + error.message, .field = "chat-template"};
    }
    files->templates = std::move(*templates);
  }
  for (auto& [name, source] : files->templates) formatter.add(name, std::move(source));
  return formatter;
}

ChatFormatter ChatFormatter::from_source(TemplateSource source,
                                         std::vector<std::pair<std::string, std::string>> special_tokens) {
  ChatFormatter formatter;
  formatter.special_tokens_ = std::move(special_tokens);
  formatter.add("default", std::move(source));
  return formatter;
}

void ChatFormatter::add(const std::string& name, TemplateSource source) {
  Entry entry;
  auto parsed = ChatTemplate::parse(source.text);
  if (parsed.ok()) {
    entry.parsed = std::move(parsed).value();
    entry.forms = detect_forms(*entry.parsed);
  } else {
    entry.error = std::move(parsed).error();
    // A client reads it too: the name says which file, the folder is the server's own matter.
    entry.error.message = std::filesystem::path(source.file).filename().string() + ": " + entry.error.message +
                          " (another template: --chat-template)";
    entry.error.field = "messages";
  }
  entry.source = std::move(source);
  templates_[name] = std::move(entry);
}

std::vector<std::string> ChatFormatter::problems() const {
  std::vector<std::string> problems;
  for (const auto& [name, entry] : templates_) {
    if (entry.parsed == nullptr) problems.push_back(entry.error.message);
  }
  return problems;
}

const ChatFormatter::Entry* ChatFormatter::find(const std::string& name, bool with_tools) const {
  auto found = templates_.find(name.empty() ? chosen_ : name);
  if (!name.empty()) return found == templates_.end() ? nullptr : &found->second;
  if (found == templates_.end() && with_tools) found = templates_.find("tool_use");
  if (found == templates_.end()) found = templates_.find("default");
  return found == templates_.end() ? nullptr : &found->second;
}

std::string_view ChatFormatter::template_source(bool with_tools) const {
  const Entry* entry = find("", with_tools);
  return entry != nullptr ? std::string_view(entry->source.text) : std::string_view();
}

Result<const ChatFormatter::Entry*> ChatFormatter::choose(const ChatInput& input) const {
  const Entry* entry = find(input.template_name, !input.tools.is_null());
  if (entry == nullptr && templates_.empty()) {
    return refused("this model has no chat template: use completions, or start the server with --chat-template FILE",
                   "messages");
  }
  if (entry == nullptr) {
    std::string names;
    for (const auto& [name, other] : templates_) names += (names.empty() ? "" : ", ") + name;
    const std::string what =
        input.template_name.empty() ? "no default chat template" : "no chat template '" + input.template_name + "'";
    return refused("this model has " + what + "; its templates: " + names, "messages");
  }
  if (entry->parsed == nullptr) return entry->error;
  return entry;
}

Result<std::string> ChatFormatter::format(const ChatInput& input, const RenderOptions& options) const {
  if (Status status = check(input); !status.ok()) return std::move(status).error();
  const Result<const Entry*> chosen = choose(input);
  if (!chosen.ok()) return chosen.error();
  const Entry& entry = **chosen;
  Json messages = Json::array();
  for (const Json& message : input.messages) messages.push_back(with_reasoning(message));
  std::optional<FinalMessageMark> mark;
  if (input.continue_final_message) {
    auto put = FinalMessageMark::put(messages, input.continue_field, entry.source.text);
    if (!put.ok()) return std::move(put).error();
    mark = std::move(*put);
  }
  Json context = Json::object();
  for (const auto& [name, token] : special_tokens_) {
    if (!input.kwargs.is_object() || !input.kwargs.contains(name)) append_member(context, name, token);
  }
  for (const auto& [name, value] : input.kwargs.items()) append_member(context, name, value);
  append_member(context, "messages", std::move(messages));
  append_member(context, "tools", input.tools);
  append_member(context, "documents", input.documents);
  append_member(context, "add_generation_prompt", input.add_generation_prompt);
  Result<std::string> text = entry.parsed->render(context, options);
  if (!text.ok() || !mark) return text;
  return mark->cut(std::move(*text));
}

ChatInput ChatFormatter::adapt(ChatInput input) const {
  const Entry* entry = find(input.template_name, !input.tools.is_null());
  if (entry != nullptr && input.messages.is_array()) input.messages = adapt_messages(input.messages, entry->forms);
  return input;
}

}  // namespace krait::server
