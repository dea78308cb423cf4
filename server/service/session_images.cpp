#include "server/service/session_images.h"

#include <algorithm>
#include <utility>

#include "server/service/service.h"

namespace krait::server {
namespace {

/// A prompt without an answer: afterwards its pages and its last state are in the caches.
Status compute_context(Engine& engine, const std::string& salt, const std::vector<std::int32_t>& tokens) {
  EngineRequest request;
  request.id = make_request_id("session-");
  request.prompt = tokens;
  request.sampling.max_tokens = 0;
  request.cache_salt = salt;
  request.prompt_logits = PromptLogits::kLast;
  Result<std::shared_ptr<TokenStream>> stream = engine.submit(std::move(request));
  if (!stream.ok()) return std::move(stream).error();
  for (;;) {
    const TokenEvent event = (*stream)->pop();
    if (!event.finish.has_value()) continue;
    if (event.error.has_value()) return *event.error;
    if (*event.finish != FinishReason::kAborted) return ok_status();
    return Error{.code = ErrorCode::kUnavailable,
                 .message = "the session was not saved: the server is shutting down",
                 .field = {}};
  }
}

Result<ContextImage> parse_image(Engine& engine, const Session& session) {
  return parse_context(session.image, engine.context_identity(), "session's image");
}

}  // namespace

Result<std::string> take_image(Engine& engine, const std::string& salt, const std::vector<std::int32_t>& tokens) {
  if (Status status = compute_context(engine, salt, tokens); !status.ok()) return std::move(status).error();
  Result<ContextImage> image = engine.export_context(salt, tokens);
  if (!image.ok()) return std::move(image).error();
  return serialize_context(*image, engine.context_identity());
}

Status restore_image(Engine& engine, const Session& session) {
  Result<ContextImage> image = parse_image(engine, session);
  if (!image.ok()) return std::move(image).error();
  if (image->tokens.empty()) return ok_status();
  image->salt = session.salt();
  return engine.import_context(std::move(*image));
}

Status check_image(Engine& engine, const Session& session) {
  const Result<ContextImage> image = parse_image(engine, session);
  if (!image.ok()) return image.error();
  const bool begins = image->tokens.size() <= session.tokens.size() &&
                      std::equal(image->tokens.begin(), image->tokens.end(), session.tokens.begin());
  if (begins && image->first_block == 0) return ok_status();
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = "the session file is damaged: its image is not of its tokens",
               .field = {}};
}

}  // namespace krait::server
