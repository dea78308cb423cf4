#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "server/http/http_server.h"

namespace krait::server {

/// What every connection needs; outlives them all.
struct HttpContext {
  HttpOptions options;
  Service& service;
  std::function<std::string()> metrics_text;
  std::atomic<int> active_requests{0};
};

}  // namespace krait::server
