#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "server/service/service.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

/// A whole answer.
struct Answer {
  std::map<int, std::string> texts;
  std::map<int, ChoiceFinished> finished;
  std::map<int, std::vector<OutputToken>> tokens;
  std::map<int, PromptEcho> prompts;
  std::optional<Usage> usage;
  std::optional<Error> error;
  std::size_t events = 0;
  bool started = false;
};

Answer read_all(Generation& generation) {
  Answer answer;
  for (;;) {
    GenerationEvent event = generation.pop();
    if (answer.events++ == 0) answer.started = std::holds_alternative<Started>(event);
    if (auto* delta = std::get_if<Delta>(&event)) {
      answer.texts[delta->index] += delta->text;
      for (auto& token : delta->tokens) answer.tokens[delta->index].push_back(token);
    }
    if (auto* prompt = std::get_if<PromptEcho>(&event)) answer.prompts[prompt->index] = *prompt;
    if (auto* finished = std::get_if<ChoiceFinished>(&event)) answer.finished[finished->index] = *finished;
    if (auto* completed = std::get_if<Completed>(&event)) answer.usage = completed->usage;
    if (auto* error = std::get_if<Error>(&event)) answer.error = *error;
    if (is_last(event)) return answer;
  }
}

struct ServiceFixture {
  ServiceFixture() { service.add_model(fake_model(engine)); }
  Answer ask(GenerationRequest request) { return read_all(*service.generate(std::move(request))); }
  static GenerationRequest text_request(const std::string& text, int max_tokens) {
    GenerationRequest request;
    request.prompts.emplace_back(text);
    request.sampling.max_tokens = max_tokens;
    return request;
  }
  FakeEngine engine;
  Service service;
};

TEST_CASE_METHOD(ServiceFixture, "A prompt is encoded, generated and decoded") {
  const Answer answer = ask(text_request("abc", 5));
  CHECK(answer.started);
  CHECK(answer.texts.at(0) == "abcab");
  CHECK(answer.finished.at(0).reason == FinishReason::kLength);
  CHECK(answer.usage->prompt_tokens == 3);
  CHECK(answer.usage->completion_tokens == 5);
}

TEST_CASE_METHOD(ServiceFixture, "Token ids are taken as they are") {
  GenerationRequest request;
  request.prompts.emplace_back(std::vector<std::int32_t>{'x', 'y'});
  request.sampling.max_tokens = 3;
  CHECK(ask(std::move(request)).texts.at(0) == "xyx");
}

TEST_CASE_METHOD(ServiceFixture, "A chat goes through the template and may use the whole context") {
  GenerationRequest request;
  request.chat = ChatInput{.messages = nlohmann::ordered_json::parse(R"([{"role": "user", "content": "hello$"}])")};
  const Answer answer = ask(std::move(request));
  CHECK(answer.texts.at(0) == "hello");
  CHECK(answer.finished.at(0).reason == FinishReason::kStop);
  CHECK(answer.finished.at(0).stop_token == kFakeEos);
  CHECK(engine.submitted().at(0).sampling.max_tokens == 200 - 6);
}

TEST_CASE_METHOD(ServiceFixture, "An error of the template is the request's") {
  GenerationRequest request;
  request.chat = ChatInput{.messages = nlohmann::ordered_json::parse(R"([{"role": "user", "content": "raise"}])")};
  const Answer answer = ask(std::move(request));
  REQUIRE(answer.error.has_value());
  CHECK(answer.error->message == "the template says no");
  CHECK(answer.events == 1);
}

TEST_CASE_METHOD(ServiceFixture, "A stop string ends the answer and the engine's work") {
  GenerationRequest request = text_request("one two ", 150);
  request.stop = {"two"};
  const Answer answer = ask(std::move(request));
  CHECK(answer.texts.at(0) == "one ");
  CHECK(answer.finished.at(0).reason == FinishReason::kStop);
  CHECK(answer.finished.at(0).stop_string == "two");
  CHECK(answer.usage->completion_tokens == 7);
  CHECK(engine.becomes_idle());
  REQUIRE(engine.aborted().size() == 1);
  CHECK(engine.aborted()[0].second == FinishReason::kStop);
}

TEST_CASE_METHOD(ServiceFixture, "n choices of several prompts have their own index and seed") {
  GenerationRequest request = text_request("ab", 2);
  request.prompts.emplace_back("cd");
  request.n = 2;
  request.sampling.seed = 42;
  const Answer answer = ask(std::move(request));
  CHECK(answer.texts == std::map<int, std::string>{{0, "ab"}, {1, "ab"}, {2, "cd"}, {3, "cd"}});
  CHECK(answer.usage->prompt_tokens == 4);
  CHECK(answer.usage->completion_tokens == 8);
  const auto submitted = engine.submitted();
  REQUIRE(submitted.size() == 4);
  CHECK(submitted[0].sampling.seed == 42);
  CHECK(submitted[1].sampling.seed != 42);
  CHECK(submitted[2].sampling.seed == 42);
  std::set<std::string> ids;
  for (const auto& one : submitted) CHECK(ids.insert(one.id).second);
}

TEST_CASE_METHOD(ServiceFixture, "Log-probabilities come with bytes and offsets") {
  GenerationRequest request = text_request("é!", 3);
  request.sampling.logprobs = 2;
  const Answer answer = ask(std::move(request));
  const auto& tokens = answer.tokens.at(0);
  REQUIRE(tokens.size() == 3);
  CHECK(tokens[0].chosen.bytes == "\xC3");
  CHECK(tokens[0].top.size() == 2);
  CHECK(tokens[2].text_offset == 1);
  CHECK(tokens[2].chosen.logprob == -0.5F);
}

TEST_CASE_METHOD(ServiceFixture, "Letting go of a generation aborts it, running or waiting") {
  engine.hold(true);
  auto waiting = service.generate(text_request("abc", 100));
  auto started = waiting->pop();
  REQUIRE(std::holds_alternative<Started>(started));
  CHECK(engine.running() == 1);
  waiting.reset();
  CHECK(engine.becomes_idle());
  CHECK(engine.aborted().at(0).second == FinishReason::kAborted);

  engine.hold(false);
  engine.set_token_interval(std::chrono::milliseconds(2));
  auto running = service.generate(text_request("abc", 150));
  while (!std::holds_alternative<Delta>(running->pop())) {
  }
  running.reset();
  CHECK(engine.becomes_idle());
}

TEST_CASE_METHOD(ServiceFixture, "Letting go at once leaves nothing behind") {
  for (int i = 0; i < 200; ++i) service.generate(text_request("abc", 150));
  CHECK(engine.becomes_idle());
}

TEST_CASE_METHOD(ServiceFixture, "cancel() ends the stream with an error") {
  engine.hold(true);
  const auto generation = service.generate(text_request("abc", 100));
  CHECK(std::holds_alternative<Started>(generation->pop()));
  generation->cancel();
  const GenerationEvent last = generation->pop();
  REQUIRE(std::holds_alternative<Error>(last));
  CHECK(std::get<Error>(last).code == ErrorCode::kCancelled);
  CHECK(engine.becomes_idle());
}

TEST_CASE_METHOD(ServiceFixture, "The engine's refusal is the first event, and no choice is left behind") {
  engine.refuse_with(Error{.code = ErrorCode::kResourceExhausted, .message = "the queue is full", .field = {}});
  const Answer answer = ask(text_request("abc", 5));
  REQUIRE(answer.error.has_value());
  CHECK(answer.error->code == ErrorCode::kResourceExhausted);
  CHECK_FALSE(answer.started);
  CHECK(engine.running() == 0);
}

TEST_CASE_METHOD(ServiceFixture, "A request that fails ends with its error, its neighbours go on") {
  engine.hold(true);
  const auto bad = service.generate(text_request("abc", 5));
  CHECK(std::holds_alternative<Started>(bad->pop()));
  engine.fail_with(Error{.code = ErrorCode::kInternal, .message = "not a number", .field = {}});
  engine.hold(false);
  const Answer answer = read_all(*bad);
  REQUIRE(answer.error.has_value());
  CHECK(answer.error->message == "not a number");
  engine.fail_with(std::nullopt);
  CHECK(ask(text_request("abc", 5)).texts.at(0) == "abcab");
}

TEST_CASE_METHOD(ServiceFixture, "An unknown model is named with the known ones") {
  GenerationRequest request = text_request("abc", 5);
  request.model = "other";
  const Answer answer = ask(std::move(request));
  REQUIRE(answer.error.has_value());
  CHECK(answer.error->code == ErrorCode::kNotFound);
  CHECK_THAT(answer.error->message, Catch::Contains("'other'") && Catch::Contains("fake"));
}

TEST_CASE_METHOD(ServiceFixture, "Ranges and lengths are checked before anything is submitted") {
  GenerationRequest request = text_request("abc", 5);
  request.sampling.temperature = 9;
  CHECK(ask(std::move(request)).error->field == "temperature");
  CHECK(ask(text_request("abc", 198)).error->field == "max_tokens");
  CHECK(ask(text_request("", 5)).error->field == "prompt");
  CHECK(engine.submitted().empty());
}

TEST_CASE_METHOD(ServiceFixture, "A draining service refuses and says so") {
  CHECK(service.ready());
  service.start_draining();
  CHECK_FALSE(service.ready());
  CHECK(ask(text_request("abc", 5)).error->code == ErrorCode::kUnavailable);
}

TEST_CASE("A service without a model is loading") {
  Service service;
  CHECK_FALSE(service.ready());
  CHECK_THAT(service.not_ready_reason(), Catch::Contains("loading"));
  GenerationRequest request;
  request.prompts.emplace_back("x");
  const auto generation = service.generate(std::move(request));
  CHECK(std::get<Error>(generation->pop()).code == ErrorCode::kUnavailable);
}

TEST_CASE_METHOD(ServiceFixture, "A model without a tokenizer is served by ids only") {
  ServedModel model = fake_model(engine);
  model.name = "ids";
  model.tokenizer = nullptr;
  service.add_model(model);
  GenerationRequest request = text_request("abc", 2);
  request.model = "ids";
  CHECK(ask(request).error->code == ErrorCode::kUnsupported);
  request.prompts = {std::vector<std::int32_t>{1, 2}};
  const Answer answer = ask(request);
  CHECK(answer.texts.at(0).empty());
  CHECK(answer.tokens.at(0).size() == 2);
}

TEST_CASE_METHOD(ServiceFixture, "Without a tokenizer stop strings and chats are refused") {
  ServedModel model = fake_model(engine);
  model.name = "ids";
  model.tokenizer = nullptr;
  service.add_model(model);
  GenerationRequest request;
  request.model = "ids";
  request.prompts = {std::vector<std::int32_t>{1, 2}};
  request.stop = {"x"};
  CHECK(ask(request).error->field == "stop");
  request.stop.clear();
  request.prompts.clear();
  request.chat = ChatInput{.messages = nlohmann::ordered_json::parse(R"([{"role": "user", "content": "a"}])")};
  CHECK(ask(request).error->field == "messages");
}

TEST_CASE_METHOD(ServiceFixture, "An echoed prompt is scored once, before the answer") {
  GenerationRequest request = text_request("abc", 2);
  request.echo = true;
  request.sampling.logprobs = 1;
  Answer answer = ask(request);
  CHECK(engine.submitted().back().prompt_logprobs == 1);
  PromptEcho prompt = answer.prompts.at(0);
  CHECK(prompt.text == "abc");
  CHECK(prompt.ids == std::vector<std::int32_t>{'a', 'b', 'c'});
  REQUIRE(prompt.tokens.size() == 3);
  CHECK(prompt.tokens[2].chosen.logprob == -2.0F);
  CHECK(prompt.tokens[2].text_offset == 2);
  CHECK(prompt.tokens[2].top.size() == 1);
  CHECK(answer.tokens.at(0)[0].text_offset == 3);

  request.sampling.max_tokens = 0;
  answer = ask(request);
  CHECK(answer.prompts.at(0).tokens.size() == 3);
  CHECK(answer.tokens.empty());
  CHECK(answer.finished.at(0).reason == FinishReason::kLength);
  CHECK(answer.usage->completion_tokens == 0);

  request.sampling.logprobs.reset();
  request.prompts = {std::vector<std::int32_t>{'x', 'y'}};
  answer = ask(request);
  CHECK(answer.prompts.at(0).text == "xy");
  CHECK(answer.prompts.at(0).tokens.empty());
  CHECK(!engine.submitted().back().prompt_logprobs.has_value());

  request.echo = false;
  CHECK(ask(request).error->field == "max_tokens");
}

TEST_CASE_METHOD(ServiceFixture, "The model's defaults are what a request leaves open") {
  ServedModel model = fake_model(engine);
  model.name = "defaults";
  model.defaults = {.temperature = 0.5, .top_k = 7, .top_p = 0.25, .max_tokens = 3};
  model.limits.default_max_tokens = 3;
  service.add_model(model);
  GenerationRequest request;
  request.model = "defaults";
  request.prompts.emplace_back("abcdef");
  request.sampling.top_k = 0;
  CHECK(ask(request).usage->completion_tokens == 3);
  const SamplingParams sampling = engine.submitted().back().sampling;
  CHECK(sampling.temperature == 0.5F);
  CHECK(sampling.top_k == 0);
  CHECK(sampling.top_p == 0.25F);
  CHECK(sampling.min_p == 0.0F);
  CHECK(sampling.repetition_penalty == 1.0F);
}

TEST_CASE_METHOD(ServiceFixture, "Many at once get the answers that each gets alone") {
  std::vector<std::unique_ptr<Generation>> all;
  for (int i = 0; i < 64; ++i) all.push_back(service.generate(text_request("prompt " + std::to_string(i) + " ", 40)));
  for (int i = 0; i < 64; ++i) {
    const std::string prompt = "prompt " + std::to_string(i) + " ";
    std::string expected;
    while (expected.size() < 40) expected += prompt;
    CHECK(read_all(*all[static_cast<std::size_t>(i)]).texts.at(0) == expected.substr(0, 40));
  }
}

}  // namespace
}  // namespace krait::server
