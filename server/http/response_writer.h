#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http/http_reply.h"

namespace krait::server {

/// Writes the answer to one request. Every write has a deadline, after which the connection is closed; functions return
/// false when the client could not be reached.
class ResponseWriter {
 public:
  ResponseWriter(boost::beast::tcp_stream& stream, unsigned http_version, bool keep_alive,
                 std::chrono::seconds write_timeout)
      : stream_(stream), version_(http_version), keep_alive_(keep_alive), timeout_(write_timeout) {}

  boost::asio::awaitable<bool> send(HttpReply reply);

  /// The reply's head, and as its body the `parts`, which must live until then. Each piece has a deadline of its own.
  boost::asio::awaitable<bool> send_parts(HttpReply head, std::vector<std::string_view> parts);

  /// A stream of server-sent events: the head, any number of pieces, the end. Chunked; to an HTTP/1.0 client the end is
  /// the connection's.
  boost::asio::awaitable<bool> begin_events(std::vector<std::pair<std::string, std::string>> headers);
  boost::asio::awaitable<bool> send_events(std::string_view frames);
  boost::asio::awaitable<bool> end_events();

  boost::asio::awaitable<bool> send_continue();
  /// Whether the connection may serve another request; false also after a failed write.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  void close_after() { keep_alive_ = false; }
  /// For HEAD: the answer's head as it would be, without its body.
  void omit_body() { omit_body_ = true; }
  /// Whether the whole answer has been handed to the system.
  [[nodiscard]] bool finished() const { return finished_; }
  /// The status that was sent; 0 before.
  [[nodiscard]] int status() const { return status_; }

 private:
  template <typename Buffers>
  boost::asio::awaitable<bool> write(Buffers buffers);
  template <typename Response>
  boost::asio::awaitable<bool> write_head(Response& response);

  boost::beast::tcp_stream& stream_;
  unsigned version_;
  bool keep_alive_;
  std::chrono::seconds timeout_;
  int status_ = 0;
  bool finished_ = false;
  bool omit_body_ = false;
};

}  // namespace krait::server
