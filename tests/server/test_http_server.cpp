#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "server/http/http_server.h"
#include "tests/server/fake_engine.h"
#include "tests/server/http_client.h"

namespace krait::server {
namespace {

using Catch::Contains;
using Catch::StartsWith;

struct HttpFixture {
  explicit HttpFixture(HttpOptions options = {})
      : server(std::move(options), service, [] { return std::string("some_metric 1\n"); }) {
    service.add_model(fake_model(engine));
  }
  std::string once(const std::string& request) const {
    HttpClient client(server.port());
    client.send(request);
    return client.read_response();
  }
  FakeEngine engine;
  Service service;
  HttpServer server;
};

TEST_CASE_METHOD(HttpFixture, "A completion, whole") {
  const std::string response = once(post("/v1/completions", R"({"prompt": "abc", "max_tokens": 5, "zebra": 1})"));
  CHECK_THAT(response, StartsWith("HTTP/1.1 200 OK"));
  CHECK_THAT(response, Contains(R"("text":"abcab")") && Contains("x-krait-ignored-fields: zebra"));
}

TEST_CASE_METHOD(HttpFixture, "A chat, streamed, on a connection that is kept") {
  HttpClient client(server.port());
  const std::string body = R"({"messages": [{"role": "user", "content": "abc$"}], "stream": true})";
  for (int i = 0; i < 3; ++i) {
    client.send(post("/v1/chat/completions", body));
    const std::string response = client.read("0\r\n\r\n");
    CHECK_THAT(response, StartsWith("HTTP/1.1 200 OK") && Contains("text/event-stream") &&
                             Contains("Transfer-Encoding: chunked"));
    CHECK_THAT(response, Contains(R"("role":"assistant")") && Contains(R"("finish_reason":"stop")") &&
                             Contains("data: [DONE]\n\n"));
  }
}

TEST_CASE_METHOD(HttpFixture, "To HTTP/1.0 a stream ends with the connection") {
  HttpClient client(server.port());
  const std::string body = R"({"prompt": "abc", "stream": true, "max_tokens": 3})";
  client.send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string response = client.read();
  CHECK_THAT(response, Contains("data: [DONE]\n\n") && !Contains("chunked"));
}

TEST_CASE_METHOD(HttpFixture, "The small endpoints") {
  CHECK_THAT(once(get("/health")), StartsWith("HTTP/1.1 200") && Contains(R"({"status":"ok"})"));
  CHECK_THAT(once(get("/version")), Contains(R"({"version":")"));
  CHECK_THAT(once(get("/v1/models")), Contains(R"("id":"fake")"));
  CHECK_THAT(once(get("/v1/models/fake")), Contains(R"("id":"fake")"));
  CHECK_THAT(once(get("/v1/models/other")), StartsWith("HTTP/1.1 404") && Contains("'other'"));
  CHECK_THAT(once(get("/metrics")), Contains("text/plain") && Contains("some_metric 1"));
}

TEST_CASE_METHOD(HttpFixture, "Texts and conversations become ids, and ids texts") {
  CHECK_THAT(once(post("/tokenize", R"({"prompt": "ab", "return_token_strs": true})")),
             StartsWith("HTTP/1.1 200") &&
                 Contains(R"({"count":2,"max_model_len":200,"tokens":[97,98],"token_strs":["a","b"]})"));
  CHECK_THAT(once(post("/tokenize", R"({"prompt": "", "zebra": 1})")),
             Contains(R"({"count":0,"max_model_len":200,"tokens":[],"token_strs":null})") &&
                 Contains("x-krait-ignored-fields: zebra"));
  CHECK_THAT(once(post("/tokenize", R"({"messages": [{"role": "user", "content": "A"}]})")),
             Contains(R"("tokens":[65])"));
  CHECK_THAT(once(post("/detokenize", R"({"tokens": [97, 256, 98]})")), Contains(R"({"prompt":"a<0>b"})"));
  CHECK_THAT(once(post("/detokenize", R"({"tokens": []})")), Contains(R"({"prompt":""})"));
}

TEST_CASE_METHOD(HttpFixture, "What cannot be tokenised is a 400 that names the field") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "prompt"},
      {R"({"prompt": ["a"]})", "prompt"},
      {R"({"prompt": "a", "messages": []})", "prompt"},
      {R"({"prompt": "a", "add_special_tokens": 1})", "add_special_tokens"},
      {R"({"messages": []})", "messages"},
      {R"({"messages": [{"role": "user", "content": "raise"}]})", "messages"},
      {R"({"messages": [{"role": "user", "content": "a"}], "chat_template": "x"})", "chat_template"},
  };
  for (const auto& [body, field] : cases) {
    CHECK_THAT(once(post("/tokenize", body)),
               StartsWith("HTTP/1.1 400") && Contains(R"("param":")" + std::string(field) + "\""));
  }
  for (const char* body : {"{}", R"({"tokens": "a"})", R"({"tokens": [1.5]})", R"({"tokens": [260]})",
                           R"({"tokens": [-1]})", R"({"tokens": [99999999999]})"}) {
    CHECK_THAT(once(post("/detokenize", body)), StartsWith("HTTP/1.1 400") && Contains(R"("param":"tokens")"));
  }
  CHECK_THAT(once(post("/tokenize", R"({"prompt": "a", "model": "other"})")), StartsWith("HTTP/1.1 404"));
}

TEST_CASE_METHOD(HttpFixture, "Every kind of bad request has its status and the error object") {
  CHECK_THAT(once(post("/v1/completions", "{")), StartsWith("HTTP/1.1 400") && Contains("not valid JSON"));
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x", "temperature": "hot"})")),
             StartsWith("HTTP/1.1 400") && Contains(R"("param":"temperature")") && Contains("invalid_request_error"));
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x", "temperature": 3})")), StartsWith("HTTP/1.1 400"));
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x", "stream": true, "temperature": 3})")),
             StartsWith("HTTP/1.1 400"));
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x", "max_tokens": 500})")),
             Contains("500") && Contains("200 tokens"));
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x", "model": "y"})")), StartsWith("HTTP/1.1 404"));
  CHECK_THAT(once(get("/nothing")), StartsWith("HTTP/1.1 404") && Contains(R"({"error":)"));
  CHECK_THAT(once(get("/v1/completions")), StartsWith("HTTP/1.1 405") && Contains("Allow: POST"));
  CHECK_THAT(once("NONSENSE\r\n\r\n"), StartsWith("HTTP/1.1 400") && Contains("not a valid HTTP request"));
  CHECK_THAT(once("GET / HTTP/1.1\r\nX: " + std::string(70000, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 431"));
}

TEST_CASE("A body over the limit is 413, whether its length is stated or not") {
  HttpFixture fixture(HttpOptions{.api_key = {}, .max_body_size = 1000});
  const std::string large(5000, 'x');
  CHECK_THAT(fixture.once(post("/v1/completions", large)), StartsWith("HTTP/1.1 413") && Contains("1000 bytes"));
  const std::string chunked = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" +
                              large + "\r\n0\r\n\r\n";
  CHECK_THAT(fixture.once(chunked), StartsWith("HTTP/1.1 413"));
}

TEST_CASE("With a key, all but health and version ask for it") {
  HttpFixture fixture(HttpOptions{.api_key = "secret"});
  CHECK_THAT(fixture.once(get("/health")), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(fixture.once(get("/version")), StartsWith("HTTP/1.1 200"));
  for (const char* path : {"/v1/models", "/metrics", "/nothing"}) {
    CHECK_THAT(fixture.once(get(path)), StartsWith("HTTP/1.1 401") && Contains("invalid_api_key"));
    CHECK_THAT(fixture.once(get(path, "Authorization: Bearer wrong\r\n")), StartsWith("HTTP/1.1 401"));
  }
  CHECK_THAT(fixture.once(post("/v1/completions", R"({"prompt": "x"})")), StartsWith("HTTP/1.1 401"));
  CHECK_THAT(fixture.once(get("/v1/models", "Authorization: Bearer secret\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("While no model is there, everything but /version is 503") {
  Service service;
  service.enable_sessions({});
  const HttpServer server({}, service, [] { return std::string(); });
  const auto ask = [&](const std::string& request) {
    HttpClient client(server.port());
    client.send(request);
    return client.read_response();
  };
  CHECK_THAT(ask(get("/health")), StartsWith("HTTP/1.1 503") && Contains("loading"));
  CHECK_THAT(ask(get("/v1/models")), StartsWith("HTTP/1.1 503"));
  CHECK_THAT(ask(post("/v1/completions", R"({"prompt": "x"})")),
             StartsWith("HTTP/1.1 503") && Contains("Retry-After: 5"));
  CHECK_THAT(ask(get("/v1/sessions")), StartsWith("HTTP/1.1 503"));
  CHECK_THAT(ask(get("/version")), StartsWith("HTTP/1.1 200"));
}

TEST_CASE_METHOD(HttpFixture, "A draining server finishes streams and refuses new requests") {
  engine.set_token_interval(std::chrono::milliseconds(2));
  HttpClient client(server.port());
  client.send(post("/v1/completions", R"({"prompt": "abc", "max_tokens": 50, "stream": true})"));
  std::string response = client.read("data: ");
  service.start_draining();
  CHECK_THAT(once(get("/health")), StartsWith("HTTP/1.1 503") && Contains("shutting down"));
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x"})")),
             StartsWith("HTTP/1.1 503") && Contains("Retry-After: 5"));
  response += client.read("0\r\n\r\n");
  CHECK_THAT(response, Contains(R"("finish_reason":"length")") && Contains("[DONE]"));
  CHECK(server.wait_idle(std::chrono::seconds(5)));
}

TEST_CASE_METHOD(HttpFixture, "A full queue is 429") {
  engine.refuse_with(Error{.code = ErrorCode::kResourceExhausted, .message = "the queue is full", .field = {}});
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "x", "stream": true})")),
             StartsWith("HTTP/1.1 429") && Contains("Retry-After"));
}

TEST_CASE_METHOD(HttpFixture, "A timeout is the engine's deadline, counted from the request's arrival") {
  const auto before = std::chrono::steady_clock::now();
  once(post("/v1/completions", R"({"prompt": "abc", "timeout": 1000})"));
  once(post("/v1/completions", R"({"prompt": "abc"})"));
  const auto after = std::chrono::steady_clock::now();
  const std::vector<EngineRequest> submitted = engine.submitted();
  REQUIRE(submitted.size() == 2);
  REQUIRE(submitted[0].deadline.has_value());
  CHECK(*submitted[0].deadline >= before + std::chrono::seconds(1000));
  CHECK(*submitted[0].deadline <= after + std::chrono::seconds(1001));
  CHECK_FALSE(submitted[1].deadline.has_value());
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "abc", "timeout": "5"})")),
             StartsWith("HTTP/1.1 400") && Contains(R"("param":"timeout")"));
  engine.fail_with(Error{.code = ErrorCode::kDeadlineExceeded, .message = "too late", .field = {}});
  CHECK_THAT(once(post("/v1/completions", R"({"prompt": "abc", "timeout": 1})")),
             StartsWith("HTTP/1.1 504") && Contains(R"("code":"deadline_exceeded")"));
  HttpClient client(server.port());
  client.send(post("/v1/completions", R"({"prompt": "abc", "timeout": 1, "stream": true})"));
  CHECK_THAT(client.read("0\r\n\r\n"), StartsWith("HTTP/1.1 200") && Contains(R"("code":"deadline_exceeded")"));
}

TEST_CASE("A key's rate is 429 with the seconds to wait; probes and scrapes are free") {
  std::chrono::steady_clock::time_point now{};
  HttpFixture fixture({.api_key = "secret", .rate_limit = std::make_shared<TokenBucket>(2, [&now] { return now; })});
  const std::string key = "Authorization: Bearer secret\r\n";
  const auto ask = [&](const std::string& headers) {
    return fixture.once(post("/v1/completions", R"({"prompt": "x"})", headers));
  };
  // Strangers use up nobody's rate.
  for (int i = 0; i < 5; ++i) CHECK_THAT(ask("Authorization: Bearer other\r\n"), StartsWith("HTTP/1.1 401"));
  CHECK_THAT(ask(key), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(ask(key), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(ask(key), StartsWith("HTTP/1.1 429") && Contains("Retry-After: 30") &&
                           Contains(R"("code":"rate_limit_exceeded")") && Contains(R"("type":"rate_limit_error")"));
  CHECK_THAT(fixture.once(get("/v1/models", key)), StartsWith("HTTP/1.1 429"));
  CHECK_THAT(fixture.once(get("/health")), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(fixture.once(get("/metrics", key)), StartsWith("HTTP/1.1 200"));
  now += std::chrono::seconds(30);
  CHECK_THAT(ask(key), StartsWith("HTTP/1.1 200"));
}

TEST_CASE_METHOD(HttpFixture, "A client that disconnects frees its request, before and after the first token") {
  for (const bool held : {true, false}) {
    for (const char* stream : {"true", "false"}) {
      engine.hold(held);
      engine.set_token_interval(std::chrono::milliseconds(20));
      HttpClient client(server.port());
      client.send(post("/v1/completions",
                       R"({"prompt": "abc", "max_tokens": 190, "n": 2, "stream": )" + std::string(stream) + "}"));
      for (int i = 0; i < 2000 && engine.running() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      REQUIRE(engine.running() == 2);
      if (!held && std::string(stream) == "true") client.read("data: ");
      client.close();
      CHECK(engine.becomes_idle());
      CHECK(server.wait_idle(std::chrono::seconds(5)));
    }
  }
}

TEST_CASE_METHOD(HttpFixture, "Pipelined requests are answered in order") {
  HttpClient client(server.port());
  std::string requests;
  for (int i = 1; i <= 5; ++i)
    requests += post("/v1/completions", R"({"prompt": "abcdef", "max_tokens": )" + std::to_string(i) + "}");
  client.send(requests);
  for (int i = 1; i <= 5; ++i) {
    CHECK_THAT(client.read_response(),
               Contains("\"text\":\"" + std::string("abcdef").substr(0, static_cast<std::size_t>(i)) + "\""));
  }
}

TEST_CASE_METHOD(HttpFixture, "A reader that takes nothing does not hold the others up") {
  HttpClient slow(server.port());
  slow.send(
      post("/v1/completions", R"({"prompt": "abc", "max_tokens": 190, "n": 100, "logprobs": 20, "stream": true})"));
  for (int i = 0; i < 20; ++i) {
    CHECK_THAT(once(post("/v1/completions", R"({"prompt": "abc", "max_tokens": 3})")), Contains(R"("text":"abc")"));
  }
}

TEST_CASE_METHOD(HttpFixture, "Expect: 100-continue is answered before the body") {
  HttpClient client(server.port());
  const std::string request =
      post("/v1/completions", R"({"prompt": "abc", "max_tokens": 3})", "Expect: 100-continue\r\n");
  const std::size_t head = request.find("\r\n\r\n") + 4;
  client.send(request.substr(0, head));
  CHECK(client.read("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(request.substr(head));
  CHECK_THAT(client.read_response(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE_METHOD(HttpFixture, "64 streams at once are each whole") {
  std::vector<std::thread> clients;
  std::vector<std::string> responses(64);
  for (std::size_t i = 0; i < responses.size(); ++i) {
    clients.emplace_back([&, i] {
      HttpClient client(server.port());
      client.send(
          post("/v1/completions", R"({"prompt": "p)" + std::to_string(i) + R"(", "max_tokens": 60, "stream": true})"));
      responses[i] = client.read("0\r\n\r\n");
    });
  }
  for (std::thread& client : clients) client.join();
  for (const std::string& response : responses) CHECK_THAT(response, Contains("data: [DONE]"));
}

TEST_CASE("A port that is taken is an error that names it") {
  Service service;
  const HttpServer first({}, service, [] { return std::string(); });
  CHECK_THROWS_WITH(HttpServer(HttpOptions{.port = first.port(), .api_key = {}}, service, [] { return std::string(); }),
                    Contains("127.0.0.1:" + std::to_string(first.port())));
}

}  // namespace
}  // namespace krait::server
