// Where templates and special tokens are found in a model folder follows transformers, so that a checkpoint needs no
// changes.
#include "server/chat/chat_formatter.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

namespace krait::server {
namespace {

Error file_error(const std::string& file, const std::string& what) {
  return {.code = ErrorCode::kInvalidArgument, .message = file + ": " + what, .field = file};
}

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// A special token of tokenizer_config.json: a string, or an object with its `content`; nullopt where it is null or
/// absent.
std::optional<std::string> token_text(const nlohmann::json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  const bool has_content = found->is_object() && found->contains("content") && (*found)["content"].is_string();
  return has_content ? std::optional((*found)["content"].get<std::string>()) : std::nullopt;
}

/// As transformers does: the reasoning of a message, under whichever name the client sent it, is offered under the two
/// names that templates look for.
template <typename Json>
void offer_reasoning(Json& message) {
  if (!message.is_object()) return;
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (!message.contains(name) || message[name].is_null()) continue;
    const Json reasoning = message[name];
    message["reasoning_content"] = reasoning;
    if (!message.contains("thinking")) message["thinking"] = reasoning;
    return;
  }
}

}  // namespace

Result<ChatFormatter> ChatFormatter::load(const std::string& model_folder, const std::string& template_override) {
  ChatFormatter formatter;
  const std::filesystem::path folder(model_folder);
  const bool overridden = !template_override.empty();
  const std::string file = overridden ? template_override : (folder / "chat_template.jinja").string();
  const std::optional<std::string> source = read_file(file);
  if (overridden && !source) {
    return Error{
        .code = ErrorCode::kNotFound, .message = "--chat-template: cannot open " + file, .field = "chat-template"};
  }
  if (source) {
    if (Status status = formatter.add_template("default", *source, file); !status.ok())
      return std::move(status).error();
  }
  const std::string config = (folder / "tokenizer_config.json").string();
  if (Status status = formatter.read_config(config, !source.has_value()); !status.ok())
    return std::move(status).error();
  return formatter;
}

Status ChatFormatter::add_template(const std::string& name, const std::string& source, const std::string& file) {
  auto parsed = ChatTemplate::parse(source);
  if (!parsed.ok()) {
    Error error = std::move(parsed).error();
    error.message = file + ": " + error.message + " (another template can be given with --chat-template)";
    error.field = file;
    return error;
  }
  templates_[name] = std::move(parsed).value();
  return ok_status();
}

Status ChatFormatter::read_config(const std::string& file, bool with_templates) {
  const std::optional<std::string> text = read_file(file);
  if (!text) return ok_status();
  const nlohmann::json config = nlohmann::json::parse(*text, nullptr, false);
  if (!config.is_object()) return file_error(file, "not a JSON object");
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    if (auto token = token_text(config, name)) special_tokens_.emplace_back(name, std::move(*token));
  }
  const auto found = config.find("chat_template");
  if (!with_templates || found == config.end() || found->is_null()) return ok_status();
  if (found->is_string()) return add_template("default", found->get<std::string>(), file);
  if (!found->is_array()) return file_error(file, "chat_template is neither a string nor a list");
  for (const auto& entry : *found) {
    const bool named = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                       entry.contains("template") && entry["template"].is_string();
    if (!named) return file_error(file, "chat_template holds an entry without name or template");
    Status status = add_template(entry["name"].get<std::string>(), entry["template"].get<std::string>(), file);
    if (!status.ok()) return status;
  }
  return ok_status();
}

template <typename Json>
Result<std::string> ChatFormatter::format_any(const Json& messages, bool add_generation_prompt,
                                              const Json& kwargs) const {
  const bool with_tools = kwargs.is_object() && kwargs.contains("tools") && !kwargs["tools"].is_null();
  auto chosen = with_tools ? templates_.find("tool_use") : templates_.end();
  if (chosen == templates_.end()) chosen = templates_.find("default");
  if (chosen == templates_.end()) {
    return Error{
        .code = ErrorCode::kInvalidArgument,
        .message = "this model has no chat template: use completions, or start the server with --chat-template FILE",
        .field = "messages"};
  }
  Json context = {{"tools", nullptr}, {"documents", nullptr}};
  for (const auto& [name, token] : special_tokens_) context[name] = token;
  if (kwargs.is_object()) context.update(kwargs);
  context["messages"] = messages;
  for (Json& message : context["messages"]) offer_reasoning(message);
  context["add_generation_prompt"] = add_generation_prompt;
  return chosen->second->render(context);
}

Result<std::string> ChatFormatter::format(const nlohmann::json& messages, bool add_generation_prompt,
                                          const nlohmann::json& kwargs) const {
  return format_any(messages, add_generation_prompt, kwargs);
}

Result<std::string> ChatFormatter::format(const nlohmann::ordered_json& messages, bool add_generation_prompt,
                                          const nlohmann::ordered_json& kwargs) const {
  return format_any(messages, add_generation_prompt, kwargs);
}

}  // namespace krait::server
