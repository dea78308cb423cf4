#include "server/http/http_server.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <utility>

#include "server/http/connection.h"
#include "server/http/http_context.h"

namespace krait::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// The first address of a name: a server that should listen on several is given a wildcard.
tcp::endpoint resolve(asio::io_context& io, const std::string& host, std::uint16_t port) {
  boost::system::error_code error;
  const auto found = tcp::resolver(io).resolve(host, std::to_string(port), error);
  if (error || found.empty()) throw StartupError("--host " + host + ": " + error.message());
  return found.begin()->endpoint();
}

/// What a connection's coroutine could not handle: our fault, and no reason to end the server.
void report(std::exception_ptr failure) {
  if (failure == nullptr) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    spdlog::error("a connection failed: {}", error.what());
  }
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpOptions options, Service& service, std::function<std::string()> metrics_text)
      : context{std::move(options), service, std::move(metrics_text)}, io(context.options.threads), acceptor(io) {}

  void listen() {
    const HttpOptions& options = context.options;
    const tcp::endpoint endpoint = resolve(io, options.host, options.port);
    boost::system::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      throw StartupError("cannot listen on " + options.host + ":" + std::to_string(options.port) + ": " +
                         error.message());
    }
  }

  /// Each connection gets a strand: its coroutine, its watch and its timers never run at once.
  asio::awaitable<void> accept() {
    for (;;) {
      boost::system::error_code error;
      asio::any_io_executor strand = asio::make_strand(io);
      tcp::socket socket = co_await acceptor.async_accept(strand, asio::redirect_error(asio::use_awaitable, error));
      if (!error) {
        asio::co_spawn(strand, serve_connection(std::move(socket), context), report);
        continue;
      }
      // Out of file descriptors, most likely: wait for connections to end.
      spdlog::warn("cannot accept a connection: {}", error.message());
      asio::steady_timer pause(io, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::use_awaitable);
    }
  }

  void start() {
    asio::co_spawn(io, accept(), report);
    for (int i = 0; i < context.options.threads; ++i) threads.emplace_back([this] { io.run(); });
  }

  HttpContext context;
  asio::io_context io;
  tcp::acceptor acceptor;
  std::vector<std::thread> threads;
};

HttpServer::HttpServer(HttpOptions options, Service& service, std::function<std::string()> metrics_text)
    : impl_(std::make_unique<Impl>(std::move(options), service, std::move(metrics_text))) {
  impl_->listen();
  impl_->start();
}

HttpServer::~HttpServer() {
  impl_->io.stop();
  for (std::thread& thread : impl_->threads) thread.join();
}

std::uint16_t HttpServer::port() const { return impl_->acceptor.local_endpoint().port(); }

int HttpServer::active_requests() const { return impl_->context.active_requests.load(); }

bool HttpServer::wait_idle(std::chrono::milliseconds limit) const {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (active_requests() > 0) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace krait::server
