#include "server/service/error_mapping.h"

#include <array>

namespace krait::server {
namespace {

// gRPC's numbers: 1 cancelled, 3 invalid argument, 4 deadline, 5 not found, 8 resource exhausted, 12 unimplemented, 13
// internal, 14 unavailable, 16 unauthenticated. 499 is the usual number for a client that went away; nobody reads it
// but the log.
constexpr std::array<ErrorMapping, 11> kMappings = {{
    {ErrorCode::kInvalidArgument, 400, "invalid_request_error", "", 3},
    {ErrorCode::kUnauthenticated, 401, "authentication_error", "invalid_api_key", 16},
    {ErrorCode::kNotFound, 404, "not_found_error", "not_found", 5},
    {ErrorCode::kMethodNotAllowed, 405, "invalid_request_error", "method_not_allowed", 12},
    {ErrorCode::kPayloadTooLarge, 413, "invalid_request_error", "request_too_large", 3},
    {ErrorCode::kUnsupported, 400, "invalid_request_error", "unsupported", 12},
    {ErrorCode::kResourceExhausted, 429, "rate_limit_error", "queue_full", 8},
    {ErrorCode::kUnavailable, 503, "service_unavailable_error", "unavailable", 14},
    {ErrorCode::kDeadlineExceeded, 504, "timeout_error", "deadline_exceeded", 4},
    {ErrorCode::kCancelled, 499, "cancelled_error", "cancelled", 1},
    {ErrorCode::kInternal, 500, "server_error", "internal_error", 13},
}};

}  // namespace

std::span<const ErrorMapping> error_mappings() { return kMappings; }

const ErrorMapping& error_mapping(ErrorCode code) {
  for (const ErrorMapping& mapping : kMappings) {
    if (mapping.code == code) return mapping;
  }
  return kMappings.back();
}

}  // namespace krait::server
