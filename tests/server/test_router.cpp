#include <catch2/catch.hpp>

#include "server/http/router.h"
#include "server/service/api_key.h"

namespace krait::server {
namespace {

TEST_CASE("Paths find their endpoints, queries are ignored") {
  CHECK(match_route("POST", "/v1/completions").route.endpoint == Endpoint::kCompletions);
  CHECK(match_route("POST", "/v1/chat/completions?x=1").route.endpoint == Endpoint::kChat);
  CHECK(match_route("GET", "/v1/models").route.endpoint == Endpoint::kModels);
  CHECK(match_route("POST", "/tokenize").route.endpoint == Endpoint::kTokenize);
  CHECK(match_route("POST", "/detokenize").route.endpoint == Endpoint::kDetokenize);
  CHECK(match_route("GET", "/tokenize").failure.allow == "POST");
  CHECK(match_route("GET", "/health").route.endpoint == Endpoint::kHealth);
}

TEST_CASE("A model's name is the rest of the path, percent-decoded") {
  const RouteMatch match = match_route("GET", "/v1/models/org/na%20me%2");
  CHECK(match.found);
  CHECK(match.route.endpoint == Endpoint::kModel);
  CHECK(match.route.parameter == "org/na me%2");
}

TEST_CASE("Sessions have a name in the path, and a path may have two methods") {
  const auto endpoint = [](const char* method, const char* path) { return match_route(method, path).route.endpoint; };
  CHECK(endpoint("POST", "/v1/sessions") == Endpoint::kSaveSession);
  CHECK(endpoint("GET", "/v1/sessions") == Endpoint::kListSessions);
  CHECK(endpoint("DELETE", "/v1/sessions/a") == Endpoint::kDeleteSession);
  CHECK(endpoint("POST", "/v1/sessions/a/fork") == Endpoint::kForkSession);
  CHECK(endpoint("GET", "/v1/sessions/a/file?x") == Endpoint::kGetSessionFile);
  CHECK(endpoint("PUT", "/v1/sessions/a/file") == Endpoint::kPutSessionFile);
  CHECK(match_route("PUT", "/v1/sessions/a%2Db/file").route.parameter == "a-b");
  CHECK(match_route("PUT", "/v1/sessions").failure.allow == "GET, POST");
  CHECK(match_route("POST", "/v1/sessions/a/file").failure.allow == "GET, PUT");
  for (const char* path :
       {"/v1/sessions/", "/v1/sessions/a/b", "/v1/sessions//file", "/v1/sessions/a/file/", "/v1/sessions/a/"}) {
    CHECK(match_route("GET", path).failure.error.code == ErrorCode::kNotFound);
  }
}

TEST_CASE("A wrong method is 405 with Allow, an unknown path 404") {
  const RouteMatch wrong = match_route("GET", "/v1/completions");
  CHECK_FALSE(wrong.found);
  CHECK(wrong.failure.error.code == ErrorCode::kMethodNotAllowed);
  CHECK(wrong.failure.allow == "POST");
  CHECK(match_route("DELETE", "/v1/models/x").failure.allow == "GET");
  for (const char* path : {"/", "/v1", "/v1/models/", "/v1/completions/", "//health"}) {
    INFO(path);
    CHECK(match_route("GET", path).failure.error.code == ErrorCode::kNotFound);
  }
}

TEST_CASE("Only health and version need no key") {
  CHECK(is_public("/health"));
  CHECK(is_public("/version?x"));
  CHECK_FALSE(is_public("/metrics"));
  CHECK_FALSE(is_public("/v1/models"));
}

TEST_CASE("Keys are compared whole") {
  CHECK(is_valid_bearer("Bearer secret", "secret"));
  for (const char* header : {"", "secret", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret",
                             "bearer secret", "Bearer secretsecret"}) {
    INFO(header);
    CHECK_FALSE(is_valid_bearer(header, "secret"));
  }
  CHECK_FALSE(is_valid_bearer("Bearer ", ""));
}

}  // namespace
}  // namespace krait::server
