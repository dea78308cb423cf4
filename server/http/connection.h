#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "server/http/http_context.h"

namespace krait::server {

/// Serves the requests of one connection, one after the other, until either side closes it. Run it on a strand of its
/// own.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket socket, HttpContext& context);

}  // namespace krait::server
