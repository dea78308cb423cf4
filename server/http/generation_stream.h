#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "server/http/http_context.h"
#include "server/http/response_writer.h"
#include "server/http/router.h"

namespace krait::server {

/// Answers POST /v1/completions and /v1/chat/completions, streamed or whole, through `writer`. The request runs exactly
/// as long as this coroutine: when it is cancelled, because the client went away, the request is aborted. `log` gets
/// what the log line says beyond method, path and status.
boost::asio::awaitable<void> answer_generation(Endpoint endpoint, const std::string& body, HttpContext& context,
                                               ResponseWriter& writer, std::string& log);

}  // namespace krait::server
