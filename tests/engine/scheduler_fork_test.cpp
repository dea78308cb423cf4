#include <catch2/catch.hpp>

#include "tests/engine/fakes/scheduler_harness.h"

using namespace krait;
using namespace krait::test;

namespace {

SchedulerConfig fork_config(MambaCacheMode mode, bool share_prefixes) {
  return {.max_num_seqs = 8,
          .max_num_batched_tokens = 256,
          .prefill_tile = 4,
          .share_prefixes = share_prefixes,
          .snapshots = {.mode = mode, .block_size = 4, .interval = 0, .mamba_block_size = 512}};
}

EngineRequest fork(int prompt_tokens, std::uint64_t seed) {
  EngineRequest request = request_of(prompt_tokens, 6);
  request.sampling.seed = seed;
  request.fork_group = "a";
  return request;
}

}  // namespace

TEST_CASE("the prompt of a fork group is computed once, whatever the cache mode", "[scheduler][fork]") {
  const bool share = GENERATE(true, false);
  const auto mode = GENERATE(MambaCacheMode::kAuto, MambaCacheMode::kAll, MambaCacheMode::kNone);
  const int prompt = GENERATE(1, 3, 4, 5, 8, 103);
  Harness h(fork_config(mode, share), small_layout(), std::size_t{1} << 20U, true);
  for (std::uint64_t seed = 0; seed < 5; ++seed) h.add(fork(prompt, seed));
  h.run();
  CHECK(h.log.violations == std::vector<std::string>{});
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    CHECK(h.outcomes[seed + 1].answer == solo_answer(fork(prompt, seed)));
  }
  // Each fork computes what lies behind the last whole block, at most a block, and 5 of its 6 tokens.
  const int shared = (prompt - 1) / 4 * 4;
  CHECK(h.scheduler.stats().computed_tokens_total == shared + 5 * (prompt - shared + 5));
  if (!share) CHECK(h.scheduler.stats().prefix_blocks == 0);
  CHECK(h.empty());
}

TEST_CASE("forks whose first one is aborted in the prompt compute it themselves", "[scheduler][fork]") {
  Harness h({.max_num_seqs = 8, .max_num_batched_tokens = 16, .prefill_tile = 4, .snapshots = {.block_size = 4}},
            small_layout(), std::size_t{1} << 20U, true);
  for (std::uint64_t seed = 0; seed < 3; ++seed) h.add(fork(60, seed));
  REQUIRE(h.step());
  REQUIRE(h.scheduler.num_running() == 1);
  h.scheduler.abort(1, FinishReason::kAborted);
  h.run();
  for (std::uint64_t seed = 1; seed < 3; ++seed) {
    CHECK(h.outcomes[seed + 1].answer == solo_answer(fork(60, seed)));
  }
  CHECK(h.log.violations.empty());
  CHECK(h.empty());
}
