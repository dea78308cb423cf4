#pragma once

#include "server/http/http_context.h"
#include "server/http/http_reply.h"
#include "server/http/router.h"

namespace krait::server {

/// Answers the endpoints that read no body.
HttpReply answer_simple_route(const Route& route, HttpContext& context);

}  // namespace krait::server
