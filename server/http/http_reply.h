#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/result.h"

namespace krait::server {

/// An answer that is written at once.
struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// The OpenAI error object with the status of the error's code. Where it makes sense to come again (a full queue, a
/// server that loads or drains) a header says after how many seconds; `queue_seconds` is that of the full queue.
HttpReply error_reply(const Error& error, int queue_seconds = 1);

}  // namespace krait::server
