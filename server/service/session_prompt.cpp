#include "server/service/session_prompt.h"

#include <utility>

#include "server/service/prompt_encoding.h"

namespace krait::server {
namespace {

Error invalid(const std::string& field, const std::string& message) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field};
}

}  // namespace

Status continue_session(const Session& session, GenerationRequest& request) {
  if (!request.model.empty() && request.model != session.model) {
    return invalid("model", "the session " + request.session + " is of the model " + session.model +
                                " and cannot go on with " + describe_value(request.model));
  }
  if (!request.cache_salt.empty() && request.cache_salt != session.cache_salt) {
    return invalid("cache_salt", "the session " + request.session + " was made with another cache_salt; leave it out");
  }
  if (request.echo) return invalid("echo", "echo cannot be combined with session: the prompt begins with the session");
  request.model = session.model;
  request.cache_salt = session.salt();
  if (!request.chat.has_value()) return ok_status();
  if (session.messages.is_null()) {
    return invalid("session", "the session " + request.session +
                                  " was saved from a completion and has no messages; go on with it at /v1/completions");
  }
  Json messages = session.messages;
  for (Json& message : request.chat->messages) messages.push_back(std::move(message));
  request.chat->messages = std::move(messages);
  return ok_status();
}

Result<std::vector<std::int32_t>> encode_conversation(const Session& session, const std::string& text,
                                                      const ServedModel& model) {
  if (model.tokenizer == nullptr) return no_tokenizer("messages");
  const std::string known = model.tokenizer->decode(session.tokens, false);
  if (text.starts_with(known)) {
    Result<std::vector<std::int32_t>> rest = encode_text(text.substr(known.size()), model, false, "messages");
    if (!rest.ok()) return rest;
    std::vector<std::int32_t> ids = session.tokens;
    ids.insert(ids.end(), rest->begin(), rest->end());
    // A tokenizer may write other text after a beginning than at one (a space in front), and half a character has no
    // text of its own.
    constexpr const char* kReplacement = "\xEF\xBF\xBD";
    if (known.find(kReplacement) == std::string::npos && model.tokenizer->decode(ids, false) == text) return ids;
  }
  return encode_text(text, model, false, "messages");
}

}  // namespace krait::server
