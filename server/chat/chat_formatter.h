#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "kernels/result.h"
#include "server/chat/chat_template.h"

namespace krait::server {

/// Turns a conversation into the text that a model was trained on, with the template and the special tokens of its
/// checkpoint. Immutable and thread-safe.
class ChatFormatter {
 public:
  /// Reads a model folder. The template is, in this order: `template_override` (a file, --chat-template; empty for
  /// none), the folder's chat_template.jinja, the `chat_template` of its tokenizer_config.json (a string, or a list of
  /// named ones). None of them is no error here; a template that cannot be parsed is one, and names its file.
  static Result<ChatFormatter> load(const std::string& model_folder, const std::string& template_override);

  [[nodiscard]] bool has_template() const { return !templates_.empty(); }

  /// `messages` is the list of the request, `kwargs` an object of further variables (tools, documents,
  /// chat_template_kwargs), which win over the special tokens. With tools, a template named "tool_use" is preferred.
  /// Fails without a template, and as ChatTemplate::render does.
  [[nodiscard]] Result<std::string> format(const nlohmann::json& messages, bool add_generation_prompt,
                                           const nlohmann::json& kwargs) const;
  /// The same with keys in the client's order; prefer this one wherever tools or tool calls may be printed.
  [[nodiscard]] Result<std::string> format(const nlohmann::ordered_json& messages, bool add_generation_prompt,
                                           const nlohmann::ordered_json& kwargs) const;

 private:
  Status add_template(const std::string& name, const std::string& source, const std::string& file);
  Status read_config(const std::string& file, bool with_templates);
  template <typename Json>
  [[nodiscard]] Result<std::string> format_any(const Json& messages, bool add_generation_prompt,
                                               const Json& kwargs) const;

  std::map<std::string, std::shared_ptr<const ChatTemplate>> templates_;  ///< by name; one without a name is "default"
  std::vector<std::pair<std::string, std::string>> special_tokens_;  ///< bos_token, eos_token, … as far as they are set
};

}  // namespace krait::server
