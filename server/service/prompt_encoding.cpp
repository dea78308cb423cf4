#include "server/service/prompt_encoding.h"

namespace krait::server {

Error no_tokenizer(const std::string& field) {
  return Error{.code = ErrorCode::kUnsupported,
               .message = "this model is served without a tokenizer: prompt must be a list of token ids" +
                          std::string(field == "stop" ? ", and what ends an answer must be in stop_token_ids" : ""),
               .field = field};
}

Result<std::string> render_chat(const ChatInput& chat, const ServedModel& model) {
  if (model.tokenizer == nullptr) return no_tokenizer("messages");
  if (!model.render_chat) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the model " + model.name + " has no chat template; use /v1/completions or --chat-template",
                 .field = "messages"};
  }
  return model.render_chat(chat);
}

Result<std::vector<std::int32_t>> encode_text(const std::string& text, const ServedModel& model,
                                              bool add_special_tokens, const std::string& field) {
  if (model.tokenizer == nullptr) return no_tokenizer(field);
  return model.tokenizer->encode(text, EncodeOptions{.add_special_tokens = add_special_tokens});
}

}  // namespace krait::server
