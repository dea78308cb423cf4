#include <catch2/catch.hpp>

#include "server/metrics/metrics.h"
#include "server/metrics/prefix_watch.h"

namespace krait::server {
namespace {

using Catch::Matchers::Contains;

constexpr PrefixSetup kHybrid{.snapshots = {}, .has_state = true};

EngineStats many_queries() {
  EngineStats stats;
  stats.prefix_queries = 120;
  stats.prefix_queried_tokens = 9000;
  return stats;
}

ChoiceRecord record_of(const std::string& model) {
  ChoiceRecord record;
  record.model = model;
  return record;
}

std::string reason(const EngineStats& stats, const PrefixSetup& setup = kHybrid) {
  return explain_no_hits(setup, stats).value_or("");
}

TEST_CASE("Nothing is said of few requests, nor once something was hit") {
  EngineStats stats = many_queries();
  CHECK_THAT(reason(stats), Contains("120 requests (9000 tokens)"));
  stats.prefix_hit_tokens = 1;
  CHECK(reason(stats).empty());
  stats = many_queries();
  stats.prefix_queries = 99;
  CHECK(reason(stats).empty());
}

TEST_CASE("Prompts without a common block are the reason when nothing else is") {
  CHECK_THAT(reason(many_queries()), Contains("no two prompts begin with the same block of 16 tokens"));
  CHECK_THAT(reason(many_queries()), !Contains("evicted"));
}

TEST_CASE("Short prompts are the reason when most are, not when some are") {
  EngineStats stats = many_queries();
  stats.prefix_short_queries = 108;
  CHECK_THAT(reason(stats), Contains("too short") && Contains("--block-size (16)"));
  stats.prefix_short_queries = 107;
  CHECK_THAT(reason(stats), !Contains("too short"));
}

TEST_CASE("A salt for each request is the reason, counted among the prompts that are long enough") {
  EngineStats stats = many_queries();
  stats.prefix_short_queries = 50;
  stats.prefix_new_salts = 63;
  CHECK_THAT(reason(stats), Contains("cache_salt"));
  stats.prefix_new_salts = 62;
  CHECK_THAT(reason(stats), !Contains("cache_salt"));
}

TEST_CASE("Shared pages without a state name the option that keeps states") {
  EngineStats stats = many_queries();
  stats.prefix_lost_tokens = 640;
  CHECK_THAT(reason(stats), Contains("640 tokens") && Contains("--snapshot-interval (2048)"));
  CHECK_THAT(reason(stats, {.snapshots = {.mode = MambaCacheMode::kAll}, .has_state = true}),
             Contains("--mamba-block-size (512)"));
  CHECK_THAT(reason(stats, {.snapshots = {.mode = MambaCacheMode::kNone}, .has_state = true}),
             Contains("--mamba-cache-mode none"));
  stats.prefix_evicted_snapshots = 7;
  CHECK_THAT(reason(stats), Contains("7 states were evicted") && Contains("--cache-memory"));
}

TEST_CASE("Evictions are named as one of two reasons, for nobody can tell") {
  EngineStats stats = many_queries();
  stats.prefix_evicted_blocks = 500;
  CHECK_THAT(reason(stats), Contains("500 blocks and 0 states") && Contains("either no two prompts"));
}

TEST_CASE("The warning comes once, when a request ends, and the next observer still sees every one") {
  Metrics metrics;
  std::vector<std::string> warnings;
  PrefixWatch watch(metrics, [&](const std::string& words) { warnings.push_back(words); });
  EngineStats stats;
  const ChoiceRecord record = record_of("m");
  watch.on_choice_finished(record);  // before there is a model
  watch.watch(kHybrid, [&] { return stats; });
  watch.on_choice_finished(record);
  CHECK(warnings.empty());
  stats = many_queries();
  watch.on_choice_finished(record);
  watch.on_choice_finished(record);
  CHECK(warnings.size() == 1);
  watch.on_first_token("m", std::chrono::duration<double>(1));
  watch.on_next_tokens("m", std::chrono::duration<double>(1), 2);
  CHECK_THAT(metrics.text(), Contains("krait:e2e_request_latency_seconds_count{model_name=\"m\"} 4") &&
                                 Contains("krait:time_to_first_token_seconds_count{model_name=\"m\"} 1") &&
                                 Contains("krait:inter_token_latency_seconds_count{model_name=\"m\"} 2"));
}

TEST_CASE("A cache that has had a hit is never warned of") {
  Metrics metrics;
  int warnings = 0;
  PrefixWatch watch(metrics, [&](const std::string&) { ++warnings; });
  EngineStats stats = many_queries();
  stats.prefix_hit_tokens = 16;
  watch.watch(kHybrid, [&] { return stats; });
  watch.on_choice_finished(record_of("m"));
  stats.prefix_hit_tokens = 0;
  watch.on_choice_finished(record_of("m"));
  CHECK(warnings == 0);
}

}  // namespace
}  // namespace krait::server
