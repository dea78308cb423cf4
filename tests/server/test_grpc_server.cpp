#include <grpcpp/grpcpp.h>
#include <krait/v1/inference.grpc.pb.h>

#include <catch2/catch.hpp>
#include <thread>

#include "server/grpc/grpc_server.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

/// A server over a fake engine, and a client of it.
struct GrpcFixture {
  explicit GrpcFixture(const std::string& api_key = {}) : server({.api_key = api_key}, service) {
    service.add_model(fake_model(engine));
  }

  struct Outcome {
    grpc::Status status;
    std::vector<v1::GenerateResponse> responses;
    std::string text;
  };
  Outcome ask(const v1::GenerateRequest& request, const std::string& authorization = {}) const {
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    const auto stub = v1::Inference::NewStub(channel);
    const auto reader = stub->Generate(&context, request);
    Outcome outcome;
    v1::GenerateResponse response;
    while (reader->Read(&response)) {
      outcome.responses.push_back(response);
      outcome.text += response.delta().text();
    }
    outcome.status = reader->Finish();
    return outcome;
  }
  static v1::GenerateRequest text_request(const std::string& text, int max_tokens) {
    v1::GenerateRequest request;
    request.set_text(text);
    request.mutable_sampling()->set_max_tokens(max_tokens);
    return request;
  }

  FakeEngine engine;
  Service service;
  GrpcServer server;
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateChannel("127.0.0.1:" + std::to_string(server.port()), grpc::InsecureChannelCredentials());
};

TEST_CASE_METHOD(GrpcFixture, "A text is streamed: started, deltas, finished, completed") {
  const Outcome outcome = ask(text_request("abc", 5));
  REQUIRE(outcome.status.ok());
  CHECK(outcome.text == "abcab");
  REQUIRE(outcome.responses.size() >= 4);
  CHECK(outcome.responses.front().started().prompt_tokens() == 3);
  CHECK(outcome.responses.front().started().model() == "fake");
  CHECK(outcome.responses[outcome.responses.size() - 2].finished().reason() == v1::FINISH_REASON_LENGTH);
  CHECK(outcome.responses.back().completed().usage().completion_tokens() == 5);
}

TEST_CASE_METHOD(GrpcFixture, "Token ids and chats are inputs too, logprobs come when asked for") {
  v1::GenerateRequest request;
  for (int id : {'x', 'y'}) request.mutable_tokens()->add_ids(id);
  request.mutable_sampling()->set_max_tokens(3);
  request.mutable_sampling()->set_logprobs(2);
  const Outcome ids = ask(request);
  CHECK(ids.text == "xyx");
  CHECK(ids.responses.at(1).delta().logprobs(0).top_size() == 2);

  v1::ChatMessage& message = *request.mutable_chat()->add_messages();
  message.set_role("user");
  message.set_content("hey");
  CHECK(ask(request).text == "hey");
}

TEST_CASE_METHOD(GrpcFixture, "Errors are statuses by the table") {
  CHECK(ask({}).status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(ask(text_request("abc", 0)).status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  v1::GenerateRequest request = text_request("abc", 5);
  request.set_model("other");
  CHECK(ask(request).status.error_code() == grpc::StatusCode::NOT_FOUND);
  request = text_request("abc", 5);
  request.set_session_id("x");  // sessions are off
  CHECK(ask(request).status.error_code() == grpc::StatusCode::UNIMPLEMENTED);
  engine.refuse_with(Error{.code = ErrorCode::kResourceExhausted, .message = "full", .field = {}});
  CHECK(ask(text_request("abc", 5)).status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  service.start_draining();
  CHECK(ask(text_request("abc", 5)).status.error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("A gRPC call needs the key when there is one") {
  const GrpcFixture fixture("secret");
  CHECK(fixture.ask(GrpcFixture::text_request("abc", 2)).status.error_code() == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(fixture.ask(GrpcFixture::text_request("abc", 2), "Bearer secret").status.ok());
}

TEST_CASE_METHOD(GrpcFixture, "Cancelling the call aborts the request, and so does its deadline") {
  engine.hold(true);
  for (const bool by_deadline : {false, true}) {
    grpc::ClientContext context;
    if (by_deadline) context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
    const auto stub = v1::Inference::NewStub(channel);
    const auto reader = stub->Generate(&context, text_request("abc", 100));
    v1::GenerateResponse response;
    REQUIRE(reader->Read(&response));
    if (!by_deadline) context.TryCancel();
    while (reader->Read(&response)) {
    }
    CHECK_FALSE(reader->Finish().ok());
    CHECK(engine.becomes_idle());
  }
}

TEST_CASE_METHOD(GrpcFixture, "32 calls at once each get their own answer") {
  std::vector<std::thread> clients;
  std::vector<std::string> texts(32);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    clients.emplace_back([&, i] { texts[i] = ask(text_request(std::to_string(i) + "!", 50)).text; });
  }
  for (std::thread& client : clients) client.join();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CHECK(texts[i].size() == 50);
    CHECK_THAT(texts[i], Catch::StartsWith(std::to_string(i) + "!" + std::to_string(i)));
  }
}

}  // namespace
}  // namespace krait::server
