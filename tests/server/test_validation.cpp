#include <catch2/catch.hpp>
#include <limits>

#include "server/service/validation.h"

namespace krait::server {
namespace {

constexpr ModelLimits kLimits{.max_model_len = 100, .vocab_size = 50};

GenerationRequest valid_request() {
  GenerationRequest request;
  request.prompts.emplace_back("hello");
  return request;
}

Error refused(const std::function<void(GenerationRequest&)>& change) {
  GenerationRequest request = valid_request();
  change(request);
  const Status status = validate(request, kLimits);
  return status.ok() ? Error{.code = ErrorCode::kInternal, .message = "accepted", .field = {}} : status.error();
}

TEST_CASE("Defaults and border values are valid") {
  GenerationRequest request = valid_request();
  CHECK(validate(request, kLimits).ok());
  request.sampling = {.temperature = 2,
                      .top_k = -1,
                      .top_p = 1,
                      .min_p = 0,
                      .repetition_penalty = 0.1,
                      .presence_penalty = -2,
                      .frequency_penalty = 2,
                      .seed = 0,
                      .max_tokens = 1,
                      .min_tokens = 0,
                      .stop_token_ids = {49},
                      .logit_bias = {{0, -100}, {49, 100}},
                      .logprobs = 20};
  CHECK(validate(request, kLimits).ok());
}

TEST_CASE("best_of is at least n, at most 128, for completions that are not streamed") {
  CHECK(refused([](auto& r) { r.best_of = 1; }).message == "accepted");
  CHECK(refused([](auto& r) { r.best_of = 128; }).message == "accepted");
  CHECK(refused([](auto& r) { r.best_of = 129; }).message == "best_of must be an integer between 1 and 128, found 129");
  CHECK(refused([](auto& r) {
          r.n = 3;
          r.best_of = 2;
        }).message == "best_of must be at least n (3), found 2");
  CHECK(refused([](auto& r) {
          r.best_of = 2;
          r.stream = true;
        }).field == "best_of");
  CHECK(refused([](auto& r) {
          r.n = r.best_of.emplace(2);
          r.stream = true;
        }).message == "accepted");
  const Error chat = refused([](auto& r) {
    r.chat.emplace();
    r.best_of = 2;
  });
  CHECK(chat.code == ErrorCode::kUnsupported);
  CHECK(chat.field == "best_of");
  CHECK(refused([](auto& r) {
          r.prompts.assign(9, Prompt{"x"});
          r.best_of = 128;
        }).message == "prompts times best_of must be at most 1024, found 9 times 128");
}

TEST_CASE("A value outside its range names the field, the value and the range") {
  using Request = GenerationRequest;
  static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::pair<std::string, std::function<void(Request&)>> cases[] = {
      {"temperature must be a number between 0 and 2, found 3", [](Request& r) { r.sampling.temperature = 3; }},
      {"temperature must be a number between 0 and 2, found nan", [](Request& r) { r.sampling.temperature = kNan; }},
      {"top_k must be an integer of at least -1, found -2", [](Request& r) { r.sampling.top_k = -2; }},
      {"top_p must be a number greater than 0 and at most 1, found 0", [](Request& r) { r.sampling.top_p = 0; }},
      {"min_p must be a number between 0 and 1, found 1.5", [](Request& r) { r.sampling.min_p = 1.5; }},
      {"repetition_penalty must be a number greater than 0 and at most 100, found 0",
       [](Request& r) { r.sampling.repetition_penalty = 0; }},
      {"presence_penalty must be a number between -2 and 2, found 2.1",
       [](Request& r) { r.sampling.presence_penalty = 2.1; }},
      {"frequency_penalty must be a number between -2 and 2, found -3",
       [](Request& r) { r.sampling.frequency_penalty = -3; }},
      {"max_tokens must be an integer of at least 1, found 0", [](Request& r) { r.sampling.max_tokens = 0; }},
      {"min_tokens must be an integer of at least 0, found -1", [](Request& r) { r.sampling.min_tokens = -1; }},
      {"logprobs must be an integer between 0 and 20, found 21", [](Request& r) { r.sampling.logprobs = 21; }},
      {"n must be an integer between 1 and 128, found 0", [](Request& r) { r.n = 0; }},
      {"timeout must be a number greater than 0 and at most 1000000, found 0", [](Request& r) { r.timeout = 0; }},
      {"stop_token_ids holds the token id 50; valid ids are 0 to 49",
       [](Request& r) { r.sampling.stop_token_ids = {50}; }},
      {"logit_bias holds the token id -1; valid ids are 0 to 49",
       [](Request& r) {
         r.sampling.logit_bias = {{-1, 0}};
       }},
      {"logit_bias must be a number between -100 and 100, found 101",
       [](Request& r) {
         r.sampling.logit_bias = {{1, 101}};
       }},
      {"a stop string must have between 1 and 4096 bytes, found 0", [](Request& r) { r.stop = {""}; }},
      {"stop may hold at most 16 strings, found 17", [](Request& r) { r.stop.assign(17, "x"); }},
      {"prompt must not be empty", [](Request& r) { r.prompts.clear(); }},
      {"prompt must hold at least one token", [](Request& r) { r.prompts = {std::vector<std::int32_t>{}}; }},
      {"prompt holds the token id 99; valid ids are 0 to 49",
       [](Request& r) {
         r.prompts = {std::vector<std::int32_t>{1, 99}};
       }},
  };
  for (const auto& [message, change] : cases) {
    const Error error = refused(change);
    CHECK(error.message == message);
    CHECK(error.code == ErrorCode::kInvalidArgument);
    CHECK_FALSE(error.field.empty());
  }
}

TEST_CASE("A field that is not served yet is refused by name") {
  using Request = GenerationRequest;
  const std::pair<std::string, std::function<void(Request&)>> cases[] = {
      {"adapter", [](Request& r) { r.adapter = "x"; }},
      {"echo",
       [](Request& r) {
         r.echo = true;
         r.chat.emplace();
       }},
  };
  for (const auto& [field, change] : cases) {
    const Error error = refused(change);
    CHECK(error.code == ErrorCode::kUnsupported);
    CHECK(error.field == field);
    CHECK_THAT(error.message, Catch::StartsWith(field + " is not served"));
  }
}

TEST_CASE("A call that must be made leaves no room for another form") {
  for (ToolChoiceMode mode : {ToolChoiceMode::kRequired, ToolChoiceMode::kNamed}) {
    const Error error = refused([&](GenerationRequest& request) {
      request.tool_choice.mode = mode;
      request.output_format = OutputFormat{.field = "response_format"};
    });
    CHECK(error.field == "response_format");
    CHECK(error.code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("Completions default to 16 tokens, chats to what is left") {
  GenerationRequest request = valid_request();
  CHECK(*resolve_max_tokens(request, 10, kLimits) == 16);
  CHECK(*resolve_max_tokens(request, 95, kLimits) == 5);
  request.chat = ChatInput{};
  CHECK(*resolve_max_tokens(request, 10, kLimits) == 90);
}

TEST_CASE("A prompt and max_tokens over the limit are refused with both numbers") {
  GenerationRequest request = valid_request();
  request.sampling.max_tokens = 91;
  const Error error = resolve_max_tokens(request, 10, kLimits).error();
  CHECK(error.field == "max_tokens");
  CHECK_THAT(error.message, Catch::Contains("100 tokens") && Catch::Contains("has 10") && Catch::Contains("91") &&
                                Catch::Contains("101"));
  request.sampling.max_tokens = 90;
  CHECK(*resolve_max_tokens(request, 10, kLimits) == 90);
  CHECK_THAT(resolve_max_tokens(request, 100, kLimits).error().message, Catch::Contains("no room"));
}

TEST_CASE("min_tokens over max_tokens is refused") {
  GenerationRequest request = valid_request();
  request.sampling.max_tokens = 3;
  request.sampling.min_tokens = 4;
  CHECK(resolve_max_tokens(request, 10, kLimits).error().field == "min_tokens");
}

TEST_CASE("End tokens join the caller's stop tokens unless they are to be ignored") {
  GenerationRequest request = valid_request();
  request.sampling.stop_token_ids = {5};
  CHECK(make_sampling_params(request, 1, 0, {7}).stop_token_ids == std::vector<std::int32_t>{5, 7});
  request.sampling.ignore_eos = true;
  CHECK(make_sampling_params(request, 1, 0, {7}).stop_token_ids == std::vector<std::int32_t>{5});
}

TEST_CASE("Choice 0 has the caller's seed, the others seeds of their own") {
  CHECK(derive_seed(42, 0) == 42);
  CHECK(derive_seed(42, 1) != derive_seed(42, 2));
  CHECK(derive_seed(42, 1) != derive_seed(43, 1));
  CHECK(derive_seed(42, 1) == derive_seed(42, 1));
}

}  // namespace
}  // namespace krait::server
