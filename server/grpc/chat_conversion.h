#pragma once

#include <krait/v1/inference.pb.h>

#include "kernels/result.h"
#include "server/service/generation_request.h"

namespace krait::server {

/// A conversation with its tools. Checked by the functions that check HTTP's: errors name the field as HTTP has it.
Status read_chat(const v1::Chat& chat, GenerationRequest& request);
/// What the answer must look like; call it after `read_chat`.
Status read_constraint(const v1::GenerateRequest& message, GenerationRequest& request);

}  // namespace krait::server
