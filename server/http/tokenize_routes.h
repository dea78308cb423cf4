#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "server/http/http_context.h"
#include "server/http/http_reply.h"
#include "server/http/router.h"

namespace krait::server {

/// Answers POST /tokenize and /detokenize. A worker of the service does the work; this thread serves others meanwhile.
/// `log` gets what the log line says beyond method, path and status.
boost::asio::awaitable<HttpReply> answer_tokenize(Endpoint endpoint, const std::string& body, HttpContext& context,
                                                  std::string& log);

}  // namespace krait::server
