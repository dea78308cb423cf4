#pragma once

#include "server/http/http_context.h"
#include "server/http/http_reply.h"
#include "server/http/router.h"

namespace krait::server {

/// Answers every endpoint but the two that generate.
HttpReply answer_simple_route(const Route& route, HttpContext& context);

}  // namespace krait::server
