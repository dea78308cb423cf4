#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "tests/engine/fakes/scheduler_harness.h"

using namespace krait;
using namespace krait::test;

namespace {

int random_cases() {
  const char* text = std::getenv("KRAIT_RANDOM_CASES");
  return text != nullptr ? std::atoi(text) : 1500;
}

/// One random life of a scheduler: requests of all kinds arrive, are aborted, expire, fail, and are preempted.
class RandomRun {
 public:
  explicit RandomRun(std::uint64_t seed) : random_(seed) {}

  void run() {
    const int count = pick(1, 14);
    for (int i = 0; i < count; ++i) {
      requests_.push_back(random_request());
      for (int forks = chance(15) ? pick(1, 4) : 0; forks > 0; --forks) requests_.push_back(fork_of(requests_.back()));
    }
    const std::size_t budget = random_budget();
    Harness h(random_config(), layout_, budget, chance(70));
    spoil_some(h);
    std::size_t added = 0;
    int steps = 0;
    const int ahead = chance(50) ? pick(1, 100) : 0;
    while (added < requests_.size() || !h.scheduler.idle()) {
      while (added < requests_.size() && chance(40)) add(h, requests_[added++]);
      StepPlan plan = h.plan();
      if (chance(4)) h.scheduler.abort(random_key(), FinishReason::kAborted);
      const auto between = [&] {
        if (chance(4)) h.scheduler.abort(random_key(), FinishReason::kAborted);
        if (added < requests_.size() && chance(10)) add(h, requests_[added++]);
      };
      if (!plan.requests.empty())
        h.finish_steps(
            std::move(plan), [&] { return chance(ahead); }, between);
      if (chance(4)) h.scheduler.abort(random_key(), FinishReason::kAborted);
      h.collect();
      REQUIRE(++steps < 100000);
    }
    check(h);
    preemptions += h.scheduler.stats().preemptions_total;
    moves += h.scheduler.stats().preemptions_moved;
    mixed_steps += h.log.mixed_steps;
    ahead_steps += h.log.ahead_steps;
    hit_tokens += h.scheduler.stats().prefix_hit_tokens;
    evictions += h.scheduler.stats().prefix_evicted_blocks + h.scheduler.stats().prefix_evicted_snapshots;
  }

  std::int64_t preemptions = 0;
  std::int64_t moves = 0;
  std::int64_t mixed_steps = 0;
  std::int64_t ahead_steps = 0;
  std::int64_t hit_tokens = 0;
  std::int64_t evictions = 0;

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool chance(int percent) { return pick(1, 100) <= percent; }
  std::uint64_t random_key() { return static_cast<std::uint64_t>(pick(1, static_cast<int>(requests_.size()))); }

  SchedulerConfig random_config() {
    constexpr std::array<int, 7> kBudgets{1, 3, 7, 15, 16, 100, 2048};
    return {.max_num_seqs = pick(1, 10),
            .max_num_batched_tokens = kBudgets[static_cast<std::size_t>(pick(0, 6))],
            .prefill_tile = chance(80) ? 16 : pick(1, 5),
            .share_prefixes = chance(80),
            .swap_bytes = chance(50) ? static_cast<std::size_t>(pick(0, 3000)) : 0,
            .snapshots = {.mode = static_cast<MambaCacheMode>(pick(0, 2)),
                          .block_size = layout_.block_size,
                          .interval = chance(50) ? 8 : 0,
                          .mamba_block_size = 8}};
  }

  EngineRequest random_request() {
    // Few first tokens to choose from, so that requests share prefixes and leave each other at any token.
    EngineRequest request = request_of(pick(1, chance(20) ? 60 : 12), pick(0, 25),
                                       chance(70) ? static_cast<std::uint64_t>(pick(0, 1)) : random_());
    request.sampling.seed = random_();
    if (chance(20)) request.prompt.push_back(pick(0, kVocab - 1));
    if (chance(20)) request.cache_salt = "salt";
    if (chance(30)) request.cache_points = {pick(0, 20), pick(0, 20)};
    request.priority = chance(30) ? pick(-2, 2) : 0;
    request.prompt_logits = static_cast<PromptLogits>(chance(30) ? pick(0, 2) : 0);
    if (chance(20)) request.prompt_logprobs = pick(0, 3);
    request.generated_logits = chance(20);
    for (int i = chance(30) ? pick(1, 4) : 0; i > 0; --i)
      request.sampling.stop_token_ids.push_back(pick(0, kVocab - 1));
    if (chance(20)) request.sampling.min_tokens = pick(0, 10);
    return request;
  }

  EngineRequest fork_of(EngineRequest& request) {
    if (request.fork_group.empty()) request.fork_group = "group " + std::to_string(requests_.size());
    EngineRequest fork = request;
    fork.sampling.seed = random_();
    return fork;
  }

  /// At least what the largest request needs alone; seldom much more.
  std::size_t random_budget() {
    if (chance(10)) layout_.slot_bytes = 0;
    if (layout_.slot_bytes > 0 && chance(30)) pack_snapshots(layout_);
    if (chance(10)) layout_.kv_groups.pop_back();
    if (chance(30)) layout_.kv_groups.back().sliding_window = pick(1, 12);
    FakePlatform platform;
    const CachePools pools(platform, layout_, 1);
    std::size_t largest = 0;
    for (const EngineRequest& request : requests_) {
      const auto tokens =
          static_cast<std::int64_t>(request.prompt.size()) + std::max(request.sampling.max_tokens, 1) - 1;
      largest = std::max(largest, pools.bytes_for(tokens));
    }
    return largest * static_cast<std::size_t>(pick(100, 300)) / 100;
  }

  void add(Harness& h, EngineRequest request) {
    if (chance(5)) request.deadline = h.now + std::chrono::milliseconds(pick(0, 30));
    h.add(request);
  }

  /// In some runs one request gives errors from some point on.
  void spoil_some(Harness& h) {
    if (!chance(25)) return;
    h.runner.tamper = [victim = random_key(), after = pick(0, 30), nan = chance(50)](const StepPlan& plan,
                                                                                     StepResult& result) {
      for (std::size_t i = 0; i < plan.requests.size(); ++i) {
        StepOutput& output = result.outputs[i];
        if (output.key != victim || plan.requests[i].num_computed < after) continue;
        if (!nan) output.error = error_of("spoilt");
        if (nan && !output.tokens.empty()) output.tokens[0].token = -1;
      }
    };
  }

  void check(Harness& h) {
    REQUIRE(h.log.violations == std::vector<std::string>{});
    REQUIRE(h.empty());
    REQUIRE(h.outcomes.size() == requests_.size());
    for (auto& [key, outcome] : h.outcomes) check_outcome(requests_[key - 1], outcome);
  }

  /// Whole answers are those of a solo run; cut ones are a beginning of it, and say why they end.
  static void check_outcome(const EngineRequest& request, const Outcome& outcome) {
    const Answer solo = solo_answer(request);
    const Answer& answer = outcome.answer;
    REQUIRE(outcome.events_after_end == 0);
    REQUIRE(answer.finish);
    REQUIRE(outcome.error.has_value() == (answer.finish == FinishReason::kError));
    if (outcome.error) {
      const bool expected = outcome.error->code == ErrorCode::kDeadlineExceeded || outcome.error->message == "spoilt" ||
                            outcome.error->message.find("no finite logits") != std::string::npos;
      INFO(outcome.error->message);
      REQUIRE(expected);
    }
    if (answer.finish == FinishReason::kLength || answer.finish == FinishReason::kStop) {
      REQUIRE(answer == solo);
      return;
    }
    REQUIRE(answer.tokens.size() <= solo.tokens.size());
    REQUIRE(std::equal(answer.tokens.begin(), answer.tokens.end(), solo.tokens.begin()));
    REQUIRE(answer.logits.size() <= solo.logits.size());
    REQUIRE(std::equal(answer.logits.begin(), answer.logits.end(), solo.logits.begin()));
  }

  std::mt19937_64 random_;
  CacheLayout layout_ = small_layout();
  std::vector<EngineRequest> requests_;
};

}  // namespace

TEST_CASE("random lives of a scheduler give solo answers and leave nothing behind", "[scheduler][random]") {
  const auto seed = std::random_device{}();
  INFO("base seed " << seed);
  const int cases = random_cases();
  std::int64_t preemptions = 0;
  std::int64_t moves = 0;
  std::int64_t mixed_steps = 0;
  std::int64_t ahead_steps = 0;
  std::int64_t hit_tokens = 0;
  std::int64_t evictions = 0;
  for (int i = 0; i < cases; ++i) {
    INFO("case " << i);
    RandomRun run((std::uint64_t{seed} << 32U) + static_cast<std::uint64_t>(i));
    run.run();
    preemptions += run.preemptions;
    moves += run.moves;
    mixed_steps += run.mixed_steps;
    ahead_steps += run.ahead_steps;
    hit_tokens += run.hit_tokens;
    evictions += run.evictions;
  }
  if (cases >= 100) {
    CHECK(preemptions >= 20);
    CHECK(moves >= 10);
    CHECK(mixed_steps >= 100);
    CHECK(ahead_steps >= 100);
    CHECK(hit_tokens >= 100);
    CHECK(evictions >= 20);
  }
}
