#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "demo_model.h"
#include "golden_file.h"
#include "tests/temp_folder.h"

using namespace krait;
using namespace krait::test;

// What is reused changes no bit: a hit on pages and states of other requests, in any mode and under pressure, gives the
// answer of a cold run alone (docs/design.md, section 6).

namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

std::vector<std::int32_t> random_ids(std::mt19937& generator, int count) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (auto& id : ids) id = std::uniform_int_distribution<std::int32_t>(3, 255)(generator);
  return ids;
}

/// Requests that share beginnings and leave each other at any token; repetitions, and turns that continue others.
std::vector<EngineRequest> related_requests(std::mt19937& generator, std::size_t count) {
  std::vector<std::vector<std::int32_t>> stems;
  for (const int length : {33, 64, 90}) stems.push_back(random_ids(generator, length));
  std::vector<EngineRequest> requests;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::int32_t> prompt = stems[i % stems.size()];
    // As it is, cut short, or with a tail of its own.
    if (i % 4 == 1) prompt.resize(prompt.size() * 2 / 3);
    if (i % 4 >= 2) {
      const auto tail = random_ids(generator, static_cast<int>(1 + i * 7 % 40));
      prompt.insert(prompt.end(), tail.begin(), tail.end());
    }
    requests.push_back(
        demo_request("r" + std::to_string(i), prompt, 8 + static_cast<int>(i % 5) * 7, i % 2 == 0 ? 0.0F : 1.2F, i));
    requests.back().sampling.ignore_eos = true;
    requests.back().sampling.stop_token_ids = {};
    if (i % 3 == 0) requests.back().cache_points = {20, 40};
  }
  return requests;
}

/// The next turn of every conversation: its prompt, its answer, and something new.
std::vector<EngineRequest> next_turns(const std::vector<EngineRequest>& requests, const std::vector<Answer>& answers,
                                      std::mt19937& generator) {
  std::vector<EngineRequest> turns;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EngineRequest turn = requests[i];
    turn.id += "-next";
    turn.prompt.insert(turn.prompt.end(), answers[i].ids.begin(), answers[i].ids.end());
    const auto tail = random_ids(generator, 5);
    turn.prompt.insert(turn.prompt.end(), tail.begin(), tail.end());
    turns.push_back(std::move(turn));
  }
  return turns;
}

LoadOptions fixture_options(const std::string& folder) {
  LoadOptions options = folder_options(folder);
  options.max_num_batched_tokens = 48;
  options.snapshots.interval = 32;
  return options;
}

}  // namespace

TEST_CASE("a prefix hit gives the bits of a cold run alone, in every family and mode") {
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    std::mt19937 generator(11);
    LoadOptions options = fixture_options(folder);
    options.enable_prefix_caching = false;
    const auto cold = ServingModel::load(options);
    const auto first = related_requests(generator, kSlowBuild ? 6 : 12);
    const auto first_answers = answer_alone(cold->engine(), first);
    const auto second = next_turns(first, first_answers, generator);
    const auto second_answers = answer_alone(cold->engine(), second);
    CHECK(cold->engine().stats().prefix_hit_tokens == 0);

    options.enable_prefix_caching = true;
    for (const MambaCacheMode mode : {MambaCacheMode::kAuto, MambaCacheMode::kAll}) {
      if (kSlowBuild && mode == MambaCacheMode::kAll) continue;
      CAPTURE(static_cast<int>(mode));
      options.snapshots.mode = mode;
      options.snapshots.mamba_block_size = 16;
      const auto warm = ServingModel::load(options);
      REQUIRE(answer_together(warm->engine(), first) == first_answers);
      REQUIRE(answer_alone(warm->engine(), second) == second_answers);
      REQUIRE(answer_together(warm->engine(), first) == first_answers);
      // A turn finds at least its predecessor's blocks but the last two, and a repetition all but its last tokens.
      std::int64_t tokens = 0;
      for (const EngineRequest& request : second) tokens += static_cast<std::int64_t>(request.prompt.size());
      CHECK(warm->engine().stats().prefix_hit_tokens > tokens / 2);
    }
  }
}

TEST_CASE("reuse under memory pressure, with evictions and preemptions, gives the bits of a cold run") {
  for (const char* folder : {"granitemoehybrid_moe", "qwen3_next", "lfm2", "recurrent_gemma", "mistral_swa", "zaya"}) {
    const std::string path = std::string("tests/golden/models/") + folder;
    const auto known = fixture_folders();
    if (std::find(known.begin(), known.end(), path) == known.end()) continue;
    CAPTURE(folder);
    std::mt19937 generator(13);
    LoadOptions options = fixture_options(path);
    options.enable_prefix_caching = false;
    const auto cold = ServingModel::load(options);
    const auto requests = related_requests(generator, kSlowBuild ? 12 : 40);
    const auto expected = answer_alone(cold->engine(), requests);
    options.enable_prefix_caching = true;
    // As much as some six of these requests need.
    const std::size_t state = cold->summary().state_bytes_per_request;
    const std::size_t pages = cold->summary().kv_bytes_per_token * 176;
    options.cache_memory.bytes = 6 * (state + pages);
    const auto warm = ServingModel::load(options);
    REQUIRE(answer_together(warm->engine(), requests) == expected);
    REQUIRE(answer_together(warm->engine(), requests) == expected);
    const EngineStats stats = warm->engine().stats();
    CHECK(stats.cache_bytes_used == stats.cache_bytes_cached);
    CHECK(stats.prefix_hit_tokens > 0);
    // Few requests fit the larger caches.
    if (!kSlowBuild) CHECK(stats.prefix_evicted_blocks + stats.prefix_evicted_snapshots > 0);
  }
}

TEST_CASE("a context that is saved, written, read and taken in by another engine gives the bits of a cold run") {
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    std::mt19937 generator(17);
    LoadOptions options = fixture_options(folder);
    options.enable_prefix_caching = false;
    const auto cold = ServingModel::load(options);
    const auto first = related_requests(generator, 3);
    const auto answers = answer_alone(cold->engine(), first);
    const auto second = next_turns(first, answers, generator);
    const auto expected = answer_alone(cold->engine(), second);

    options.enable_prefix_caching = true;
    const auto from = ServingModel::load(options);
    REQUIRE(answer_together(from->engine(), first) == answers);
    const auto to = ServingModel::load(options);
    for (std::size_t i = 0; i < first.size(); ++i) {
      std::vector<std::int32_t> tokens = first[i].prompt;
      tokens.insert(tokens.end(), answers[i].ids.begin(), answers[i].ids.end());
      const auto image = from->engine().export_context(first[i].cache_salt, tokens);
      REQUIRE(image.ok());
      // All but what lies behind the last whole block of what was computed.
      CHECK(image->tokens.size() + 17 > tokens.size());
      const std::string bytes = serialize_context(*image, from->engine().context_identity());
      auto back = parse_context(bytes, to->engine().context_identity(), "file");
      REQUIRE(back.ok());
      REQUIRE(to->engine().import_context(*std::move(back)).ok());
      REQUIRE(answer_alone(to->engine(), {second[i]}) == std::vector<Answer>{expected[i]});
      const auto hits = to->engine().stats().prefix_hit_tokens;
      CHECK(hits >= static_cast<std::int64_t>(image->tokens.size()));
    }
  }
}

namespace {

/// The tier looks through its folder in the background.
void await_entries(const Engine& engine) {
  while (engine.stats().disk_entries == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

TEST_CASE("what an engine has left on disk gives the next one the bits of a cold run, in every family") {
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    std::mt19937 generator(19);
    LoadOptions options = fixture_options(folder);
    options.enable_prefix_caching = false;
    const auto cold = ServingModel::load(options);
    // Without recurrent state, entries end at every 16th block.
    auto first = related_requests(generator, 2);
    const auto stem = random_ids(generator, 300);
    for (EngineRequest& request : first) {
      request.prompt.insert(request.prompt.begin(), stem.begin(), stem.end());
      request.prompt.resize(std::min<std::size_t>(request.prompt.size(), 330));
    }
    if (cold->summary().max_model_len < 400) continue;
    const auto answers = answer_alone(cold->engine(), first);
    const auto second = next_turns(first, answers, generator);
    const auto expected = answer_alone(cold->engine(), second);

    const TempFolder cache;
    options.enable_prefix_caching = true;
    options.cache_dir = cache.path();
    {
      const auto writer = ServingModel::load(options);
      REQUIRE(answer_together(writer->engine(), first) == answers);
    }
    const auto reader = ServingModel::load(options);
    await_entries(reader->engine());
    REQUIRE(answer_together(reader->engine(), second) == expected);
    const EngineStats stats = reader->engine().stats();
    CHECK(stats.disk_hit_tokens >= 256);
    CHECK(stats.prefix_hit_tokens >= 256);
    CHECK(stats.disk_entries_damaged == 0);
  }
}
