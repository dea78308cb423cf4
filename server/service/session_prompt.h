#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/generation_request.h"
#include "server/service/served_model.h"
#include "server/service/session.h"

namespace krait::server {

/// Makes `request` go on with the session: its model and salt are the session's, a chat's messages come after the
/// session's. Errors name the field: another model, another salt, a chat after a completion, `echo`.
Status continue_session(const Session& session, GenerationRequest& request);

/// The tokens of a conversation, `text`, that goes on from a session. Where the session's tokens spell its beginning
/// they are used as they are, for a model may have cut its answer into other tokens than the tokenizer does; only the
/// rest is encoded. Otherwise (the template shows old answers differently, …) all of it is encoded.
Result<std::vector<std::int32_t>> encode_conversation(const Session& session, const std::string& text,
                                                      const ServedModel& model);

}  // namespace krait::server
