#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/cache/disk/disk_tier.h"
#include "engine/cache/prefix_index.h"
#include "engine/engine.h"
#include "tests/engine/fakes/scheduler_harness.h"
#include "tests/temp_folder.h"

using namespace krait;
using namespace krait::test;
namespace fs = std::filesystem;

namespace {

CacheLayout layout_of(bool with_state, int window) {
  CacheLayout layout = small_layout();
  layout.kv_groups[1].sliding_window = window;
  if (!with_state) layout.slot_bytes = 0;
  return layout;
}

/// An engine with a disk tier; ends when it is destroyed, and then every promise was kept.
struct TieredEngine {
  explicit TieredEngine(const TempFolder& folder, const CacheLayout& layout = small_layout(),
                        std::size_t budget = std::size_t{1} << 20U)
      : pools(std::make_shared<CachePools>(platform, layout, budget)) {
    pools->enable_prefix_index();
    auto owned = std::make_unique<FakeRunner>(*pools, log, 16, 4);
    runner = owned.get();
    EngineConfig config{.max_num_seqs = 4, .max_num_batched_tokens = 16, .model_hash = 1};
    config.snapshots.block_size = 4;
    config.snapshots.interval = 8;
    DiskTierConfig disk{.folder = folder.path(), .warn = {}};
    auto owned_tier = std::make_unique<DiskTier>(std::move(disk), ContextIdentity{.model = 1, .layout = layout});
    tier = owned_tier.get();
    tier->flush();
    engine = make_engine(config, pools, std::move(owned), std::move(owned_tier));
  }
  ~TieredEngine() {
    engine.reset();
    CHECK(log.violations == std::vector<std::string>{});
    CHECK(pools->budget().used() == pools->idle_bytes());
    pools->prefix_index()->clear();
    CHECK(pools->budget().used() == 0);
  }
  std::shared_ptr<TokenStream> submit(EngineRequest request) {
    runner->learn(++key, request.prompt);
    request.id = std::to_string(key);
    return engine->submit(std::move(request)).value();
  }
  static Outcome read_all(TokenStream& stream) {
    Outcome outcome;
    while (!outcome.answer.finish) outcome.take(stream.pop());
    return outcome;
  }
  Outcome ask(const EngineRequest& request) { return read_all(*submit(request)); }

  FakePlatform platform;
  std::shared_ptr<CachePools> pools;
  RunnerLog log;
  FakeRunner* runner = nullptr;
  DiskTier* tier = nullptr;
  std::unique_ptr<Engine> engine;
  std::uint64_t key = 0;
};

}  // namespace

TEST_CASE("an engine finds on disk what another one has written, and answers the same", "[engine]") {
  for (const bool with_state : {true, false}) {
    for (const int window : {0, 6}) {
      CAPTURE(with_state, window);
      const TempFolder folder;
      const CacheLayout layout = layout_of(with_state, window);
      EngineRequest request = request_of(150, 9, 3);
      request.cache_salt = "mine";
      Outcome first;
      {
        TieredEngine writer(folder, layout);
        first = writer.ask(request);
        CHECK(first.stats.cached_tokens == 0);
      }
      EngineRequest next = request;
      next.prompt.insert(next.prompt.end(), first.answer.tokens.begin(), first.answer.tokens.end());
      TieredEngine reader(folder, layout);
      const Outcome again = reader.ask(request);
      CHECK(again.answer == first.answer);
      // The last snapshot but one, which lies only one block before the last; without state, whole runs of 16 blocks.
      const int on_disk = with_state ? 144 : 128;
      CHECK(again.stats.cached_tokens == on_disk);
      const Outcome turn = reader.ask(next);
      CHECK(turn.answer == solo_answer(next));
      CHECK(turn.stats.cached_tokens >= 148);
      const EngineStats stats = reader.engine->stats();
      CHECK(stats.disk_hit_tokens >= on_disk);
      CHECK(stats.disk_entries_read > 0);
      EngineRequest stranger = request;
      stranger.cache_salt = "another";
      CHECK(reader.ask(stranger).stats.cached_tokens == 0);
      // What memory holds is not read again.
      const auto read = reader.engine->stats().disk_entries_read;
      CHECK(reader.ask(request).stats.cached_tokens > 0);
      CHECK(reader.engine->stats().disk_entries_read == read);
    }
  }
}

TEST_CASE("requests that wait for the disk can be aborted, expire, and are ended with the engine", "[engine]") {
  const TempFolder folder;
  { TieredEngine(folder).ask(request_of(100, 2, 3)); }
  for (int round = 0; round < 40; ++round) {
    TieredEngine reader(folder);
    std::vector<std::shared_ptr<TokenStream>> streams;
    for (int i = 0; i < 6; ++i) {
      EngineRequest request = request_of(100, 4, 3);
      if (i == 2) request.deadline = std::chrono::steady_clock::now();
      streams.push_back(reader.submit(request));
    }
    reader.engine->abort("1", FinishReason::kAborted);
    reader.engine->abort("4", FinishReason::kAborted);
    if (round % 2 == 0) reader.engine->drain(std::chrono::milliseconds(round % 4));
    for (const auto& stream : streams) {
      const Outcome outcome = TieredEngine::read_all(*stream);
      CHECK(outcome.events_after_end == 0);
      if (outcome.answer.finish == FinishReason::kLength) CHECK(outcome.answer == solo_answer(request_of(100, 4, 3)));
    }
    CHECK(reader.engine->stats().requests_waiting == 0);
  }
}

TEST_CASE("with little memory and a disk that is damaged on the way answers stay right", "[engine]") {
  const TempFolder folder;
  {
    TieredEngine writer(folder);
    for (std::uint64_t seed = 0; seed < 6; ++seed) writer.ask(request_of(60, 4, seed));
  }
  std::vector<fs::path> files;
  for (const auto& file : fs::recursive_directory_iterator(folder.path())) {
    if (file.is_regular_file()) files.push_back(file.path());
  }
  REQUIRE(files.size() > 12);
  std::ranges::sort(files);
  // Room for hardly more than one request.
  TieredEngine reader(folder, small_layout(), 2600);
  for (std::size_t i = 0; i < files.size(); i += 3) fs::resize_file(files[i], fs::file_size(files[i]) / 2);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::pair<std::uint64_t, std::shared_ptr<TokenStream>>> streams;
    for (std::uint64_t seed = 0; seed < 6; ++seed) streams.emplace_back(seed, reader.submit(request_of(60, 4, seed)));
    for (const auto& [seed, stream] : streams) {
      CHECK(TieredEngine::read_all(*stream).answer == solo_answer(request_of(60, 4, seed)));
    }
  }
  CHECK(reader.engine->stats().disk_entries_damaged > 0);
}
