#include "server/http/connection.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "server/http/api_routes.h"
#include "server/http/generation_stream.h"
#include "server/http/response_writer.h"
#include "server/http/session_routes.h"
#include "server/http/tokenize_routes.h"
#include "server/openai/responses.h"
#include "server/service/api_key.h"

namespace krait::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace asio::experimental::awaitable_operators;  // NOLINT: that is how `||` between awaitables is had

namespace {

using Parser = http::request_parser<http::string_body>;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kMaxHeaderBytes = 64U << 10;
constexpr std::size_t kMaxPipelinedBytes = 256U << 10;
constexpr std::size_t kBodyPiece = std::size_t{16} << 20;  ///< what must come within the body's time
constexpr std::chrono::seconds kLinger{2};

/// Counts a request as active for as long as it lives.
class ActiveRequest {
 public:
  explicit ActiveRequest(std::atomic<int>& count) : count_(count) { count_.fetch_add(1); }
  ~ActiveRequest() { count_.fetch_sub(1); }
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;

 private:
  std::atomic<int>& count_;
};

/// The same for no key and a wrong one: nothing is learnt from it.
HttpReply unauthorized_reply() {
  return error_reply(Error{.code = ErrorCode::kUnauthenticated,
                           .message = "a valid API key is needed: Authorization: Bearer KEY",
                           .field = {}});
}

/// Has a code of its own beside that of a full queue, as OpenAI has.
HttpReply rate_limited_reply(const TokenBucket& limit, int wait_seconds) {
  HttpReply reply{
      .status = 429,
      .body = error_body(rate_limit_message(limit, wait_seconds), "rate_limit_error", "rate_limit_exceeded"),
      .headers = {}};
  reply.headers.emplace_back("Retry-After", std::to_string(wait_seconds));
  return reply;
}

/// What to answer to bytes that are no request.
HttpReply unreadable_reply(beast::error_code error, std::size_t max_body_size) {
  Error reason{
      .code = ErrorCode::kInvalidArgument, .message = "not a valid HTTP request: " + error.message(), .field = {}};
  if (error == http::error::body_limit) {
    reason.code = ErrorCode::kPayloadTooLarge;
    reason.message = "the body is larger than the limit of " + std::to_string(max_body_size) + " bytes";
  }
  if (error != http::error::header_limit) return error_reply(reason);
  HttpReply reply;
  reply.status = 431;  // has no code of its own: nothing but HTTP knows heads
  reply.body =
      error_body("the request's head is larger than the limit of " + std::to_string(kMaxHeaderBytes) + " bytes",
                 "invalid_request_error", "header_too_large");
  return reply;
}

class Connection {
 public:
  Connection(asio::ip::tcp::socket socket, HttpContext& context) : stream_(std::move(socket)), context_(context) {}

  asio::awaitable<void> run() {
    while (co_await serve_request()) {
    }
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }

 private:
  /// True when the connection may serve another request.
  asio::awaitable<bool> serve_request() {
    Parser parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(boost::none);  // goes by the path, which the head tells
    beast::error_code error;
    stream_.expires_after(context_.options.idle_timeout);
    co_await http::async_read_header(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return co_await refuse_unreadable(error, context_.options.max_body_size);

    const ActiveRequest active(context_.active_requests);
    const Clock::time_point start = Clock::now();
    ResponseWriter writer(stream_, parser.get().version(), parser.get().keep_alive(), context_.options.write_timeout);
    if (parser.get().method() == http::verb::head) writer.omit_body();
    const RouteMatch match = match_route(std::string(parser.get().method_string()), std::string(parser.get().target()));
    std::string log;
    if (!is_allowed(parser) || !match.found) {
      co_await refuse(parser, match, writer);
    } else if (const int wait = wait_for_rate(parser, match); wait > 0) {
      if (!parser.is_done()) writer.close_after();
      HttpReply reply = rate_limited_reply(*context_.options.rate_limit, wait);
      co_await writer.send(std::move(reply));
    } else {
      const std::size_t limit = body_limit(match.route);
      error = co_await read_body(parser, limit, writer);
      if (error) co_return co_await refuse_unreadable(error, limit);
      co_await answer(match.route, std::move(parser.get().body()), writer, log);
    }
    write_log(parser, match, writer, start, log);
    if (!writer.keep_alive() && !parser.is_done()) co_await linger();
    co_return writer.keep_alive();
  }

  /// A session's file may be as large as the sessions' memory, and then some for what it does not count.
  [[nodiscard]] std::size_t body_limit(const Route& route) const {
    const SessionService* sessions = context_.service.sessions();
    if (route.endpoint != Endpoint::kPutSessionFile || sessions == nullptr) return context_.options.max_body_size;
    return std::max(context_.options.max_body_size, sessions->max_bytes() + kMaxHeaderBytes);
  }

  /// A large body may take longer than a small one, as long as it comes at all.
  asio::awaitable<beast::error_code> read_body(Parser& parser, std::size_t limit, ResponseWriter& writer) {
    beast::error_code error;
    if (const auto length = parser.content_length(); length.has_value() && *length > limit) {
      error = http::error::body_limit;
      co_return error;
    }
    parser.body_limit(limit);
    parser.eager(true);
    if (parser.get()[http::field::expect] == "100-continue") co_await writer.send_continue();
    stream_.expires_after(context_.options.body_timeout);
    std::size_t told = 0;
    while (!error && !parser.is_done()) {
      co_await http::async_read_some(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
      if (parser.get().body().size() < told + kBodyPiece) continue;
      told = parser.get().body().size();
      stream_.expires_after(context_.options.body_timeout);
    }
    stream_.expires_never();
    co_return error;
  }

  bool is_allowed(const Parser& parser) const {
    const std::string& key = context_.options.api_key;
    if (key.empty() || is_public(std::string(parser.get().target()))) return true;
    return is_valid_bearer(std::string(parser.get()[http::field::authorization]), key);
  }

  /// Seconds until the key may send this request; 0: now. Probes and scrapes are free.
  int wait_for_rate(const Parser& parser, const RouteMatch& match) const {
    if (context_.options.rate_limit == nullptr || is_public(std::string(parser.get().target()))) return 0;
    return match.route.endpoint == Endpoint::kMetrics ? 0 : context_.options.rate_limit->take();
  }

  /// No key, no such path, or no such method. The body is not read: unless there is none, the connection ends.
  asio::awaitable<void> refuse(const Parser& parser, const RouteMatch& match, ResponseWriter& writer) {
    if (!parser.is_done()) writer.close_after();
    // Replies are named before they are awaited: g++ 12 destroys aggregates inside a co_await expression twice.
    HttpReply reply = is_allowed(parser) ? error_reply(match.failure.error) : unauthorized_reply();
    if (is_allowed(parser) && !match.failure.allow.empty()) reply.headers.emplace_back("Allow", match.failure.allow);
    co_await writer.send(std::move(reply));
  }

  /// Answers what could not be read as a request; a connection that just ended gets no answer. Always false: it is
  /// closed.
  asio::awaitable<bool> refuse_unreadable(beast::error_code error, std::size_t limit) {
    if (error.category() != make_error_code(http::error::end_of_stream).category()) co_return false;
    if (error == http::error::end_of_stream || error == http::error::partial_message) co_return false;
    HttpReply reply = unreadable_reply(error, limit);
    spdlog::info("unreadable request: {} ({})", reply.status, error.message());
    ResponseWriter writer(stream_, 11, false, context_.options.write_timeout);
    co_await writer.send(std::move(reply));
    co_await linger();
    co_return false;
  }

  /// A request that generates runs beside a watch on the socket; whichever ends first cancels the other.
  asio::awaitable<void> answer(const Route& route, std::string body, ResponseWriter& writer, std::string& log) {
    if (is_session_endpoint(route.endpoint)) {
      co_await answer_sessions(route, std::move(body), context_, writer, log);
      co_return;
    }
    if (route.endpoint == Endpoint::kTokenize || route.endpoint == Endpoint::kDetokenize) {
      HttpReply reply = co_await answer_tokenize(route.endpoint, body, context_, log);
      co_await writer.send(std::move(reply));
      co_return;
    }
    if (route.endpoint != Endpoint::kCompletions && route.endpoint != Endpoint::kChat) {
      HttpReply reply = answer_simple_route(route, context_);
      co_await writer.send(std::move(reply));
      co_return;
    }
    const auto first =
        co_await (answer_generation(route.endpoint, body, context_, writer, log) || watch_for_disconnect());
    if (first.index() == 0) co_return;
    writer.close_after();
    if (!writer.finished()) log += " client disconnected";  // else both happened at once
  }

  /// Ends when the client has closed its side. Bytes of a pipelined request are kept for its turn.
  asio::awaitable<void> watch_for_disconnect() {
    for (;;) {
      beast::error_code error;
      if (buffer_.size() >= kMaxPipelinedBytes) {
        asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        co_await never.async_wait(asio::use_awaitable);
      }
      const std::size_t bytes = co_await stream_.socket().async_read_some(
          buffer_.prepare(4096), asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      buffer_.commit(bytes);
    }
  }

  /// Takes and drops what the client still sends: closing at once would reset the connection, and the client might lose
  /// the answer.
  asio::awaitable<void> linger() {
    beast::error_code error;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
    buffer_.clear();
    stream_.expires_after(kLinger);
    while (!error) {
      co_await stream_.async_read_some(buffer_.prepare(65536), asio::redirect_error(asio::use_awaitable, error));
    }
  }

  /// One line a request; probes and scrapes only when debugging.
  static void write_log(const Parser& parser, const RouteMatch& match, const ResponseWriter& writer,
                        Clock::time_point start, const std::string& detail) {
    const Endpoint endpoint = match.route.endpoint;
    const bool quiet = match.found && (endpoint == Endpoint::kHealth || endpoint == Endpoint::kMetrics);
    const auto took = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    spdlog::log(quiet ? spdlog::level::debug : spdlog::level::info, "{} {} {} {:.1f} ms{}",
                std::string(parser.get().method_string()), std::string(parser.get().target()), writer.status(), took,
                detail);
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  HttpContext& context_;
};

}  // namespace

asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, HttpContext& context) {
  beast::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  Connection connection(std::move(socket), context);
  co_await connection.run();
}

}  // namespace krait::server
