#pragma once

#include <span>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// What one kind of failure is called at each edge. The only place where codes meet protocols.
struct ErrorMapping {
  ErrorCode code;
  int http_status;
  std::string_view openai_type;  ///< `error.type` of the OpenAI error object
  std::string_view openai_code;  ///< `error.code`; empty is null
  int grpc_status;               ///< the number of grpc::StatusCode (this header does not pull gRPC in)
};

/// Every code has exactly one row.
std::span<const ErrorMapping> error_mappings();
const ErrorMapping& error_mapping(ErrorCode code);

}  // namespace krait::server
