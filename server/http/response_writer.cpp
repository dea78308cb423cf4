#include "server/http/response_writer.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

namespace krait::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr unsigned kHttp11 = 11;

/// Headers of every answer.
template <typename Body>
void set_common(http::response<Body>& response, const std::vector<std::pair<std::string, std::string>>& headers,
                bool keep_alive) {
  response.set(http::field::server, "krait");
  for (const auto& [name, value] : headers) response.set(name, value);
  response.keep_alive(keep_alive);
}

}  // namespace

/// A write that takes longer than the limit fails, and Beast closes the connection.
template <typename Buffers>
asio::awaitable<bool> ResponseWriter::write(Buffers buffers) {
  beast::error_code error;
  stream_.expires_after(timeout_);
  co_await asio::async_write(stream_, buffers, asio::redirect_error(asio::use_awaitable, error));
  stream_.expires_never();
  if (error) keep_alive_ = false;
  co_return !error;
}

template <typename Response>
asio::awaitable<bool> ResponseWriter::write_head(Response& response) {
  http::response_serializer<http::empty_body> serializer(response);
  beast::error_code error;
  stream_.expires_after(timeout_);
  co_await http::async_write_header(stream_, serializer, asio::redirect_error(asio::use_awaitable, error));
  stream_.expires_never();
  if (error) keep_alive_ = false;
  co_return !error;
}

asio::awaitable<bool> ResponseWriter::send(HttpReply reply) {
  status_ = reply.status;
  http::response<http::string_body> response(static_cast<http::status>(reply.status), version_);
  response.set(http::field::content_type, reply.content_type);
  set_common(response, reply.headers, keep_alive_);
  response.body() = std::move(reply.body);
  response.prepare_payload();
  beast::error_code error;
  stream_.expires_after(timeout_);
  http::response_serializer<http::string_body> serializer(response);
  if (omit_body_) {
    co_await http::async_write_header(stream_, serializer, asio::redirect_error(asio::use_awaitable, error));
  } else {
    co_await http::async_write(stream_, serializer, asio::redirect_error(asio::use_awaitable, error));
  }
  stream_.expires_never();
  if (error) keep_alive_ = false;
  finished_ = !error;
  co_return !error;
}

asio::awaitable<bool> ResponseWriter::send_parts(HttpReply head, std::vector<std::string_view> parts) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  status_ = head.status;
  http::response<http::empty_body> response(static_cast<http::status>(head.status), version_);
  response.set(http::field::content_type, head.content_type);
  set_common(response, head.headers, keep_alive_);
  std::size_t length = 0;
  for (const std::string_view part : parts) length += part.size();
  response.content_length(length);
  bool alive = co_await write_head(response);
  for (std::size_t i = 0; alive && !omit_body_ && i < parts.size(); ++i) {
    for (std::string_view left = parts[i]; alive && !left.empty(); left.remove_prefix(std::min(kPiece, left.size()))) {
      alive = co_await write(asio::const_buffer(left.data(), std::min(kPiece, left.size())));
    }
  }
  finished_ = alive;
  co_return alive;
}

asio::awaitable<bool> ResponseWriter::begin_events(std::vector<std::pair<std::string, std::string>> headers) {
  status_ = static_cast<int>(http::status::ok);
  http::response<http::empty_body> response(http::status::ok, version_);
  if (version_ < kHttp11) keep_alive_ = false;
  response.set(http::field::content_type, "text/event-stream; charset=utf-8");
  response.set(http::field::cache_control, "no-cache");
  response.set("X-Accel-Buffering", "no");  // nginx would hold tokens back
  set_common(response, headers, keep_alive_);
  if (version_ >= kHttp11) response.chunked(true);
  co_return co_await write_head(response);
}

asio::awaitable<bool> ResponseWriter::send_events(std::string_view frames) {
  const asio::const_buffer body(frames.data(), frames.size());
  if (version_ < kHttp11) co_return co_await write(body);
  co_return co_await write(http::make_chunk(body));
}

asio::awaitable<bool> ResponseWriter::end_events() {
  finished_ = version_ < kHttp11 || co_await write(http::make_chunk_last());
  co_return finished_;
}

asio::awaitable<bool> ResponseWriter::send_continue() {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  co_return co_await write(asio::const_buffer(kContinue.data(), kContinue.size()));
}

}  // namespace krait::server
