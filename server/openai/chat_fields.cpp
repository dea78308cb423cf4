#include "server/openai/chat_fields.h"

#include <string>
#include <utility>

#include "server/openai/chat_messages.h"
#include "server/openai/tool_fields.h"

namespace krait::server {
namespace {

/// Templates look their variables up one by one.
constexpr std::size_t kMaxTemplateVariables = 256;

Error invalid(const std::string& field, const std::string& message) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field};
}

void read_messages(FieldReader& reader, ChatInput& chat) {
  const Json* messages = reader.find("messages");
  if (messages == nullptr) return reader.fail("messages", "a list of messages", nullptr);
  Result<Json> normalised = normalise_messages(*messages);
  if (!normalised.ok()) return reader.fail(normalised.error());
  chat.messages = std::move(*normalised);
}

/// An answer either begins or goes on.
void read_ending(FieldReader& reader, ChatInput& chat) {
  chat.continue_final_message = reader.flag("continue_final_message", false);
  chat.add_generation_prompt = reader.flag("add_generation_prompt", !chat.continue_final_message);
  if (!chat.continue_final_message) return;
  if (chat.add_generation_prompt) {
    reader.fail(invalid("continue_final_message",
                        "continue_final_message and add_generation_prompt cannot both be true: the prompt ends either "
                        "inside the last message or where a new one begins"));
  }
}

void read_documents(FieldReader& reader, ChatInput& chat) {
  const Json* documents = reader.find("documents");
  if (documents == nullptr) return;
  if (!documents->is_array()) return reader.fail("documents", "a list of objects", *documents);
  for (const Json& document : *documents) {
    if (!document.is_object()) return reader.fail("documents", "a list of objects", document);
  }
  if (!documents->empty()) chat.documents = *documents;
}

/// `reasoning_effort` is a variable of the template like any other; one of chat_template_kwargs wins, as it is closer
/// to the template.
void read_variables(FieldReader& reader, ChatInput& chat) {
  if (const auto effort = reader.text("reasoning_effort")) chat.kwargs["reasoning_effort"] = *effort;
  const Json* kwargs = reader.object("chat_template_kwargs");
  if (kwargs == nullptr) return;
  if (kwargs->size() > kMaxTemplateVariables) {
    return reader.fail(invalid("chat_template_kwargs", "chat_template_kwargs may hold at most " +
                                                           std::to_string(kMaxTemplateVariables) +
                                                           " variables, found " + std::to_string(kwargs->size())));
  }
  for (const auto& [name, value] : kwargs->items()) chat.kwargs[name] = value;
}

}  // namespace

ChatInput read_chat_input(FieldReader& reader) {
  ChatInput chat;
  read_messages(reader, chat);
  read_ending(reader, chat);
  read_documents(reader, chat);
  read_variables(reader, chat);
  chat.tools = read_tools(reader);
  if (reader.find("chat_template") != nullptr) {
    reader.fail(Error{.code = ErrorCode::kUnsupported,
                      .message = "chat_template in a request is not served: the server's own is used; start it with "
                                 "--chat-template to use another",
                      .field = "chat_template"});
  }
  return chat;
}

}  // namespace krait::server
