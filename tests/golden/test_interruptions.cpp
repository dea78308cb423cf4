#include <catch2/catch.hpp>
#include <random>

#include "demo_model.h"
#include "golden_file.h"

using namespace krait;
using namespace krait::test;

// Whatever happens to a request on its way, its answer has the bits of a cold run alone (docs/design.md, section 6):
// here in a batch of 64, as one of several answers to a prompt, preempted and computed again, moved out and back.

namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;
constexpr std::size_t kBatch = kSlowBuild ? 16 : 64;
constexpr std::size_t kForks = 4;  ///< answers to one prompt
constexpr std::size_t kSeats = 4;

/// Every fourth prompt is answered several times.
std::vector<EngineRequest> requests_with_forks(std::mt19937& generator) {
  std::vector<EngineRequest> requests;
  while (requests.size() < kBatch) {
    const std::size_t i = requests.size();
    std::vector<std::int32_t> prompt(1 + i * 11 % 60);
    for (auto& id : prompt) id = std::uniform_int_distribution<std::int32_t>(3, 255)(generator);
    const bool forks = i / kForks % 4 == 0;
    for (std::size_t fork = 0; fork < (forks ? kForks : 1); ++fork) {
      const std::size_t n = requests.size();
      requests.push_back(
          demo_request("r" + std::to_string(n), prompt, 6 + static_cast<int>(n % 4) * 5, n % 3 == 0 ? 0.0F : 1.1F, n));
      if (forks) requests.back().fork_group = "prompt " + std::to_string(i);
    }
  }
  return requests;
}

/// Long answers of little weight, and as many that will not wait for them.
std::vector<EngineRequest> requests_of_two_priorities(std::mt19937& generator) {
  std::vector<EngineRequest> requests;
  for (std::size_t i = 0; i < 2 * kSeats; ++i) {
    std::vector<std::int32_t> prompt(20 + i * 9);
    for (auto& id : prompt) id = std::uniform_int_distribution<std::int32_t>(3, 255)(generator);
    const bool urgent = i >= kSeats;
    requests.push_back(demo_request("p" + std::to_string(i), prompt, urgent ? 10 : 100, i % 2 == 0 ? 0.0F : 1.1F, i));
    requests.back().priority = urgent ? 0 : 1;
    requests.back().sampling.ignore_eos = true;
    requests.back().sampling.stop_token_ids = {};
  }
  return requests;
}

/// The urgent ones come when the others have all begun to answer.
std::vector<Answer> answer_interrupted(Engine& engine, const std::vector<EngineRequest>& requests) {
  std::vector<std::shared_ptr<TokenStream>> streams;
  std::vector<Answer> answers(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (i == kSeats) {
      for (std::size_t s = 0; s < kSeats; ++s) {
        for (const SampledToken& token : streams[s]->pop().tokens) {
          answers[s].ids.push_back(token.token);
          answers[s].logprobs.push_back(token.logprob);
        }
      }
    }
    streams.push_back(engine.submit(requests[i]).value());
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Answer rest = read_all(*streams[i]);
    answers[i].ids.insert(answers[i].ids.end(), rest.ids.begin(), rest.ids.end());
    answers[i].logprobs.insert(answers[i].logprobs.end(), rest.logprobs.begin(), rest.logprobs.end());
    answers[i].finish = rest.finish;
    answers[i].error = rest.error;
  }
  return answers;
}

}  // namespace

TEST_CASE("a batch of 64 with forks gives the bits of cold runs alone, in every family") {
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    std::mt19937 generator(23);
    const auto requests = requests_with_forks(generator);
    LoadOptions options = folder_options(folder);
    options.enable_prefix_caching = false;
    std::vector<EngineRequest> alone = requests;
    for (EngineRequest& request : alone) request.fork_group.clear();
    const auto expected = answer_alone(ServingModel::load(options)->engine(), alone);
    // Without sharing, forks share all the same.
    const auto private_prefixes = ServingModel::load(options);
    REQUIRE(answer_together(private_prefixes->engine(), requests) == expected);
    options.enable_prefix_caching = true;
    const auto serving = ServingModel::load(options);
    REQUIRE(answer_together(serving->engine(), requests) == expected);
    const EngineStats stats = serving->engine().stats();
    CHECK(stats.cache_bytes_used == stats.cache_bytes_cached);
  }
}

TEST_CASE("preempted and computed again, or moved out and back, gives the bits of a cold run, in every family") {
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    std::mt19937 generator(29);
    const auto requests = requests_of_two_priorities(generator);
    LoadOptions options = folder_options(folder);
    options.enable_prefix_caching = false;
    const auto expected = answer_alone(ServingModel::load(options)->engine(), requests);
    options.max_num_seqs = kSeats;
    options.max_num_batched_tokens = 48;
    for (const bool moves : {false, true}) {
      for (const bool caching : {false, true}) {
        if (kSlowBuild && caching) continue;
        CAPTURE(moves, caching);
        options.swap_bytes = moves ? std::size_t{64} << 20U : 0;
        options.enable_prefix_caching = caching;
        const auto serving = ServingModel::load(options);
        REQUIRE(answer_interrupted(serving->engine(), requests) == expected);
        const EngineStats stats = serving->engine().stats();
        CHECK(stats.preemptions_total > 0);
        CHECK((stats.preemptions_moved > 0) == moves);
        CHECK(stats.swap_bytes_used == 0);
        CHECK(stats.cache_bytes_used == stats.cache_bytes_cached);
      }
    }
  }
}
