#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/result.h"
#include "server/chat/chat_input.h"
#include "server/chat/chat_template.h"
#include "server/chat/content_format.h"
#include "server/chat/template_files.h"

namespace krait::server {

/// Turns a conversation into the text that a model was trained on, with the template and the special tokens of its
/// checkpoint. Immutable and thread-safe.
class ChatFormatter {
 public:
  /// Reads a model folder (see read_template_files). `template_override` (--chat-template; empty for none) is a file,
  /// whose templates replace the folder's, or the name of one of the folder's templates. No template at all is no error
  /// here, nor is one that cannot be parsed: conversations fail then.
  static Result<ChatFormatter> load(const std::string& model_folder, const std::string& template_override);
  /// One template without a folder.
  static ChatFormatter from_source(TemplateSource source,
                                   std::vector<std::pair<std::string, std::string>> special_tokens);

  [[nodiscard]] bool has_template() const { return !templates_.empty(); }
  /// What is wrong with each template that cannot be parsed, with file, line and column; for the log.
  [[nodiscard]] std::vector<std::string> problems() const;
  /// The text of the template that is used with or without tools; empty without one.
  [[nodiscard]] std::string_view template_source(bool with_tools) const;

  /// What transformers' render_jinja_template gives, messages taken as they are. Errors: no such template, one that
  /// cannot be parsed, `continue_final_message` where it is impossible, and those of ChatTemplate::render.
  [[nodiscard]] Result<std::string> format(const ChatInput& input, const RenderOptions& options = {}) const;
  /// Brings a request of the OpenAI API into the form that the template takes, before `format`: see adapt_messages.
  [[nodiscard]] ChatInput adapt(ChatInput input) const;

 private:
  struct Entry {
    TemplateSource source;
    std::shared_ptr<const ChatTemplate> parsed;  ///< null where it cannot be parsed
    Error error;                                 ///< then
    TemplateForms forms;
  };

  void add(const std::string& name, TemplateSource source);
  /// The template for a conversation, or null.
  [[nodiscard]] const Entry* find(const std::string& name, bool with_tools) const;
  [[nodiscard]] Result<const Entry*> choose(const ChatInput& input) const;

  std::map<std::string, Entry> templates_;  ///< by name; one without a name is "default"
  std::string chosen_;                      ///< the name that --chat-template gives, or empty
  std::vector<std::pair<std::string, std::string>> special_tokens_;
};

}  // namespace krait::server
