#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>

#include "server/service/candidates.h"
#include "server/service/service.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

struct Shown {
  std::vector<GenerationEvent> events;
  std::function<void(GenerationEvent)> take() {
    return [this](GenerationEvent event) { events.push_back(std::move(event)); };
  }
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const GenerationEvent& event : events) {
      if (const auto* delta = std::get_if<Delta>(&event)) texts.push_back(std::to_string(delta->index) + delta->text);
    }
    return texts;
  }
};

void answer(Candidates& candidates, int index, const std::string& text, const std::vector<double>& logprobs) {
  for (const double logprob : logprobs) candidates.count_token(index, logprob);
  candidates.add(index, Delta{.index = index, .text = text});
  candidates.add(index, ChoiceFinished{.index = index, .stop_string = {}, .stop_token = {}});
}

TEST_CASE("The candidates with the highest mean log-probability become the choices, the best first") {
  Shown shown;
  Candidates candidates(1, 2, 4, shown.take());
  answer(candidates, 2, "c", {-1.0});
  answer(candidates, 0, "a", {-0.5, -0.5, -0.5});  // a lower sum than c, a higher mean
  answer(candidates, 3, "d", {});
  CHECK(shown.events.empty());
  answer(candidates, 1, "b", {-4.0, -0.1});
  CHECK(shown.texts() == std::vector<std::string>{"0a", "1c"});
  CHECK(std::get<ChoiceFinished>(shown.events.back()).index == 1);
}

TEST_CASE("Prompts are judged apart, and shown when their own candidates have ended") {
  Shown shown;
  Candidates candidates(2, 1, 2, shown.take());
  answer(candidates, 3, "second of the second", {-1});
  answer(candidates, 2, "first of the second", {-2});
  CHECK(shown.texts() == std::vector<std::string>{"1second of the second"});
  answer(candidates, 0, "equal", {-1});
  answer(candidates, 1, "equal too", {-1});
  CHECK(shown.texts().back() == "0equal");
}

struct Reply {
  std::map<int, std::vector<OutputToken>> tokens;
  std::vector<int> finished;
  std::optional<Usage> usage;
  std::optional<Error> error;
};

Reply ask(Service& service, GenerationRequest request) {
  const auto generation = service.generate(std::move(request));
  Reply reply;
  for (;;) {
    GenerationEvent event = generation->pop();
    if (auto* delta = std::get_if<Delta>(&event)) {
      for (OutputToken& token : delta->tokens) reply.tokens[delta->index].push_back(token);
    }
    if (auto* finished = std::get_if<ChoiceFinished>(&event)) reply.finished.push_back(finished->index);
    if (auto* completed = std::get_if<Completed>(&event)) reply.usage = completed->usage;
    if (auto* error = std::get_if<Error>(&event)) reply.error = *error;
    if (is_last(event)) return reply;
  }
}

struct BestOfFixture {
  BestOfFixture() {
    // The candidate's number is the last of its id: the third is the likeliest, the second comes next.
    engine.set_logprob([](const EngineRequest& sequence) {
      constexpr std::array<float, 4> kLogprobs{-3.0F, -2.0F, -1.0F, -4.0F};
      return kLogprobs[static_cast<std::size_t>((sequence.id.back() - '0') % 4)];
    });
    service.add_model(fake_model(engine));
    request.prompts = {Prompt{"abc"}, Prompt{"xyz"}};
    request.sampling.max_tokens = 3;
    request.n = 2;
    request.best_of = 4;
  }
  FakeEngine engine;
  Service service{2, nullptr};
  GenerationRequest request;
};

TEST_CASE_METHOD(BestOfFixture, "best_of candidates run, the n likeliest are answered, and all tokens are counted") {
  request.sampling.logprobs = 0;
  const Reply reply = ask(service, std::move(request));
  REQUIRE(reply.usage);
  CHECK(engine.submitted().size() == 8);
  CHECK(reply.usage->completion_tokens == 24);
  CHECK(reply.usage->prompt_tokens == 6);
  CHECK(std::set<int>(reply.finished.begin(), reply.finished.end()) == std::set<int>{0, 1, 2, 3});
  CHECK(reply.finished.size() == 4);
  for (const int best : {0, 2}) {
    REQUIRE(reply.tokens.at(best).size() == 3);
    CHECK(reply.tokens.at(best)[0].chosen.logprob == -1.0F);
    CHECK(reply.tokens.at(best + 1)[0].chosen.logprob == -2.0F);
  }
  CHECK(reply.tokens.at(0)[0].chosen.bytes == "a");
  CHECK(reply.tokens.at(2)[0].chosen.bytes == "x");
}

TEST_CASE_METHOD(BestOfFixture, "Log-probabilities that were not asked for are computed and not shown") {
  const Reply reply = ask(service, std::move(request));
  REQUIRE(reply.usage);
  CHECK(engine.submitted().front().sampling.logprobs == 0);
  CHECK(reply.tokens.at(0)[0].chosen.logprob == 0.0F);
}

TEST_CASE_METHOD(BestOfFixture, "best_of of n is n") {
  request.best_of = 2;
  const Reply reply = ask(service, std::move(request));
  CHECK(engine.submitted().size() == 4);
  CHECK_FALSE(engine.submitted().front().sampling.logprobs.has_value());
  CHECK(reply.usage->completion_tokens == 12);
}

TEST_CASE_METHOD(BestOfFixture, "A candidate that fails fails the request") {
  engine.fail_with(Error{.code = ErrorCode::kInternal, .message = "broken", .field = {}});
  const Reply reply = ask(service, std::move(request));
  REQUIRE(reply.error);
  CHECK(reply.error->message == "broken");
  CHECK(reply.finished.empty());
  CHECK(engine.becomes_idle());
}

}  // namespace
}  // namespace krait::server
