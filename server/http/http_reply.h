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

/// The OpenAI error object with the status of the error's code.
HttpReply error_reply(const Error& error);

}  // namespace krait::server
