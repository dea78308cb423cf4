#include <catch2/catch.hpp>
#include <set>

#include "server/openai/responses.h"
#include "server/service/error_mapping.h"

namespace krait::server {
namespace {

TEST_CASE("Every error code has one row and the numbers that protocols expect") {
  struct Row {
    ErrorCode code;
    int http;
    int grpc;
  };
  const Row rows[] = {
      {ErrorCode::kInvalidArgument, 400, 3},   {ErrorCode::kUnauthenticated, 401, 16},
      {ErrorCode::kNotFound, 404, 5},          {ErrorCode::kMethodNotAllowed, 405, 12},
      {ErrorCode::kPayloadTooLarge, 413, 3},   {ErrorCode::kUnsupported, 400, 12},
      {ErrorCode::kResourceExhausted, 429, 8}, {ErrorCode::kUnavailable, 503, 14},
      {ErrorCode::kDeadlineExceeded, 504, 4},  {ErrorCode::kCancelled, 499, 1},
      {ErrorCode::kInternal, 500, 13},
  };
  std::set<ErrorCode> seen;
  for (const ErrorMapping& mapping : error_mappings()) CHECK(seen.insert(mapping.code).second);
  CHECK(seen.size() == std::size(rows));
  for (const Row& row : rows) {
    CHECK(error_mapping(row.code).http_status == row.http);
    CHECK(error_mapping(row.code).grpc_status == row.grpc);
    CHECK_FALSE(error_mapping(row.code).openai_type.empty());
  }
}

TEST_CASE("An error's body is the OpenAI error object") {
  const std::string body =
      error_body(Error{.code = ErrorCode::kInvalidArgument, .message = "no \"x\"", .field = "top_p"});
  CHECK(nlohmann::json::parse(body) ==
        nlohmann::json::parse(
            R"({"error": {"message": "no \"x\"", "type": "invalid_request_error", "param": "top_p", "code": null}})"));
}

TEST_CASE("An error without a field has a null param, and bytes that are not UTF-8 are repaired") {
  const auto body =
      nlohmann::json::parse(error_body(Error{.code = ErrorCode::kNotFound, .message = "\xFF", .field = {}}));
  CHECK(body["error"]["param"].is_null());
  CHECK(body["error"]["code"] == "not_found");
  CHECK(body["error"]["message"] == "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace krait::server
