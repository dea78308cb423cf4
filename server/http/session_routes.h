#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "server/http/http_context.h"
#include "server/http/response_writer.h"
#include "server/http/router.h"

namespace krait::server {

/// Answers what lies under /v1/sessions. Saving and files are the work of threads of their own; this one serves others
/// meanwhile. `log` gets what the log line says beyond method, path and status.
boost::asio::awaitable<void> answer_sessions(const Route& route, std::string body, HttpContext& context,
                                             ResponseWriter& writer, std::string& log);

/// True for the endpoints that it answers.
bool is_session_endpoint(Endpoint endpoint);

}  // namespace krait::server
