#pragma once

#include <krait/v1/inference.pb.h>

#include "kernels/result.h"
#include "server/service/generation_event.h"
#include "server/service/generation_request.h"

namespace krait::server {

/// The service's request; errors name the message's field. Ranges are left to the service.
Result<GenerationRequest> to_generation_request(const v1::GenerateRequest& message);
/// One event as a message; `event` is not an Error (errors are statuses).
v1::GenerateResponse to_response(const GenerationEvent& event, const std::string& request_id, const std::string& model,
                                 bool logprobs);

}  // namespace krait::server
