#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/service/service.h"
#include "server/service/token_bucket.h"

namespace krait::server {

struct HttpOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;                     ///< 0: the system chooses one
  std::string api_key;                        ///< empty: none is asked for
  std::shared_ptr<TokenBucket> rate_limit{};  ///< of the key; null: none
  std::size_t max_body_size = std::size_t{32} << 20;
  int threads = 2;
  std::chrono::seconds idle_timeout{75};  ///< until a whole request head is there, on a new or kept connection
  std::chrono::seconds body_timeout{60};  ///< until the whole body is there
  std::chrono::seconds write_timeout{
      60};  ///< a client that takes nothing for so long is cut off, and its request aborted
};

/// The OpenAI-compatible HTTP front end. Accepts connections from its construction on, also before the service has a
/// model: requests are then answered 503. One coroutine a connection; a slow reader holds nobody else up.
class HttpServer {
 public:
  /// Throws StartupError when the address cannot be listened on. `service` must outlive the server.
  HttpServer(HttpOptions options, Service& service, std::function<std::string()> metrics_text);
  /// Cuts every connection; requests that run are aborted.
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const;
  /// Requests that have been read and whose answer is not written wholly.
  [[nodiscard]] int active_requests() const;
  /// Waits until no request is active, at most for `limit`. True when none is.
  bool wait_idle(std::chrono::milliseconds limit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace krait::server
