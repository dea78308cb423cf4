#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/service/service.h"
#include "server/service/token_bucket.h"

namespace krait::server {

struct GrpcOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;                     ///< 0: the system chooses one
  std::string api_key;                        ///< empty: none is asked for
  std::shared_ptr<TokenBucket> rate_limit{};  ///< of the key; null: none
};

/// The gRPC front end (`proto/krait/v1/inference.proto`), with the standard health and reflection services. Health is
/// NOT_SERVING until `set_serving(true)`.
class GrpcServer {
 public:
  /// Throws StartupError when the address cannot be listened on. `service` must outlive the server.
  GrpcServer(const GrpcOptions& options, Service& service);
  /// Cancels every call.
  ~GrpcServer();

  [[nodiscard]] std::uint16_t port() const;
  void set_serving(bool serving);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace krait::server
