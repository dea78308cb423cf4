#include "engine/cache/context_transfer.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/engine/fakes/scheduler_harness.h"

using Catch::Matchers::Contains;
using namespace krait;
using namespace krait::test;

namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 20U;

SchedulerConfig small_steps() {
  SchedulerConfig config{.max_num_seqs = 4, .max_num_batched_tokens = 16, .prefill_tile = 4, .snapshots = {}};
  config.snapshots.block_size = 4;
  config.snapshots.interval = 8;
  return config;
}

struct Kind {
  bool with_state;
  int window;
  bool packed = false;
};
constexpr std::array kKinds = {Kind{true, 0}, Kind{true, 6}, Kind{false, 0}, Kind{false, 6}, Kind{true, 6, true}};

CacheLayout layout_of(const Kind& kind) {
  CacheLayout layout = small_layout();
  layout.kv_groups[1].sliding_window = kind.window;
  if (!kind.with_state) layout.slot_bytes = 0;
  if (kind.packed) pack_snapshots(layout);
  return layout;
}

/// What an engine holds after it has answered `request`.
ContextImage image_of(const CacheLayout& layout, const EngineRequest& request,
                      std::vector<std::int32_t>* all = nullptr) {
  Harness maker(small_steps(), layout, kPlenty, true);
  const auto key = maker.add(request);
  maker.run();
  std::vector<std::int32_t> tokens = request.prompt;
  const auto& answer = maker.outcomes[key].answer.tokens;
  tokens.insert(tokens.end(), answer.begin(), answer.end());
  if (all != nullptr) *all = tokens;
  auto image = export_context(maker.pools, request.cache_salt, tokens);
  REQUIRE(image.ok());
  CHECK(maker.log.violations == std::vector<std::string>{});
  CHECK(maker.empty());
  return *image;
}

/// A request that goes on where `tokens` end.
EngineRequest going_on(const std::vector<std::int32_t>& tokens, const std::string& salt) {
  EngineRequest next = request_of(3, 9, 77);
  next.prompt.insert(next.prompt.begin(), tokens.begin(), tokens.end());
  next.cache_salt = salt;
  return next;
}

}  // namespace

TEST_CASE("a context that is taken into fresh caches serves a request as if it had been computed there") {
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.with_state, kind.window);
    const CacheLayout layout = layout_of(kind);
    EngineRequest first = request_of(37, 10, 5);
    first.cache_salt = "mine";
    std::vector<std::int32_t> tokens;
    const ContextImage image = image_of(layout, first, &tokens);
    // The last token of an answer is never computed.
    CHECK(image.tokens.size() >= 44);
    CHECK(image.state.empty() != kind.with_state);

    Harness taker(small_steps(), layout, kPlenty, true);
    REQUIRE(import_context(taker.pools, image).ok());
    const std::size_t once = taker.pools.budget().used();
    REQUIRE(import_context(taker.pools, image).ok());  // equal blocks stay as they are
    CHECK(taker.pools.budget().used() == once);
    CHECK(once == image.cache_bytes());

    const EngineRequest next = going_on(tokens, "mine");
    const auto key = taker.add(next);
    const auto stranger = taker.add(going_on(tokens, "another"));
    taker.run();
    CHECK(taker.log.violations == std::vector<std::string>{});
    CHECK(taker.outcomes[key].answer == solo_answer(next));
    CHECK(taker.outcomes[key].stats.cached_tokens == static_cast<std::int64_t>(image.tokens.size()));
    CHECK(taker.outcomes[stranger].stats.cached_tokens == 0);
    // What was taken in goes out again as it was.
    const auto again = export_context(taker.pools, "mine", image.tokens);
    REQUIRE(again.ok());
    CHECK(*again == image);
    CHECK(taker.empty());
  }
}

TEST_CASE("a context may be taken in in parts, each with the blocks that the one before it lacks") {
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.with_state, kind.window);
    const CacheLayout layout = layout_of(kind);
    Harness maker(small_steps(), layout, kPlenty, true);
    const EngineRequest request = request_of(41, 2, 6);
    maker.add(request);
    maker.run();
    const std::vector<std::int32_t> half(request.prompt.begin(), request.prompt.begin() + 24);
    const auto head = export_context(maker.pools, "", half);
    REQUIRE(head.ok());
    REQUIRE(head->tokens.size() == 24);
    const auto tail = export_context(maker.pools, "", request.prompt, 6);
    REQUIRE(tail.ok());
    CHECK(tail->first_block == 6);
    CHECK(tail->pages[0].size() == tail->tokens.size() / 4 - 6);

    Harness taker(small_steps(), layout, kPlenty, true);
    const Status orphan = import_context(taker.pools, *tail);
    REQUIRE_FALSE(orphan.ok());
    CHECK(orphan.error().code == ErrorCode::kNotFound);
    CHECK(taker.pools.budget().used() == 0);
    REQUIRE(import_context(taker.pools, *head).ok());
    REQUIRE(import_context(taker.pools, *tail).ok());
    const EngineRequest next = going_on(request.prompt, "");
    const auto key = taker.add(next);
    taker.run();
    CHECK(taker.log.violations == std::vector<std::string>{});
    CHECK(taker.outcomes[key].answer == solo_answer(next));
    CHECK(taker.outcomes[key].stats.cached_tokens == 40);
    CHECK(taker.empty());
  }
}

TEST_CASE("a context of which the caches hold nothing is one without tokens") {
  Harness harness(small_steps(), small_layout(), kPlenty, true);
  for (const std::vector<std::int32_t>& tokens : {std::vector<std::int32_t>{}, {1}, {1, 2, 3, 4, 5}}) {
    const auto image = export_context(harness.pools, "", tokens);
    REQUIRE(image.ok());
    CHECK(image->tokens.empty());
    CHECK(import_context(harness.pools, *image).ok());
  }
  CHECK(harness.empty());
}

TEST_CASE("under a full budget a context is taken in as far as others can be let go of, and nothing leaks") {
  const CacheLayout layout = small_layout();
  const ContextImage image = image_of(layout, request_of(40, 2, 7));
  const std::size_t needed = image.cache_bytes();
  for (std::size_t budget = needed - 200; budget <= needed + 200; budget += 16) {
    CAPTURE(budget);
    // Others fill the caches and are idle: they may be let go of.
    Harness taker(small_steps(), layout, budget, true);
    for (std::uint64_t seed = 100; seed < 104; ++seed) {
      taker.add(request_of(12, 2, seed));
      taker.run();
    }
    const Status status = import_context(taker.pools, image);
    CHECK(status.ok() == (budget >= needed));
    if (!status.ok()) CHECK(status.error().code == ErrorCode::kResourceExhausted);
    CHECK(taker.pools.budget().used() == taker.pools.idle_bytes());
    const auto key = taker.add(going_on(image.tokens, ""));
    taker.run();
    CHECK(taker.log.violations == std::vector<std::string>{});
    if (!taker.outcomes[key].error) {
      CHECK(taker.outcomes[key].answer == solo_answer(going_on(image.tokens, "")));
    }
    CHECK(taker.empty());
  }
}

TEST_CASE("what requests hold is not let go of for a context") {
  const CacheLayout layout = small_layout();
  const ContextImage image = image_of(layout, request_of(40, 2, 8));
  // Room for the running request and half of the image.
  Harness taker(small_steps(), layout, image.cache_bytes() * 3 / 2, true);
  const EngineRequest running = request_of(40, 8, 9);
  const auto key = taker.add(running);
  for (int i = 0; i < 4; ++i) REQUIRE(taker.step());
  CHECK_FALSE(import_context(taker.pools, image).ok());
  taker.run();
  CHECK(taker.log.violations == std::vector<std::string>{});
  CHECK(taker.outcomes[key].answer == solo_answer(running));
  CHECK(taker.empty());
}

TEST_CASE("contexts need a prefix index") {
  Harness without(small_steps());
  const auto image = export_context(without.pools, "", {1, 2, 3, 4});
  REQUIRE_FALSE(image.ok());
  CHECK(image.error().code == ErrorCode::kUnsupported);
  CHECK_THAT(image.error().message, Contains("--enable-prefix-caching"));
  CHECK_FALSE(import_context(without.pools, {}).ok());
}

TEST_CASE("items of memory that the processor cannot reach are read and written through the platform") {
  // A device's memory: the pointer that kernels get is nothing that the host may follow.
  class DeviceMemory final : public FakePlatform {
   public:
    class Reserved final : public FakeReservedMemory {
     public:
      using FakeReservedMemory::FakeReservedMemory;
      [[nodiscard]] std::byte* data() const override { return nullptr; }
      [[nodiscard]] bool host_accessible() const override { return false; }
      void read(std::size_t offset, std::size_t bytes, std::byte* to) const override {
        std::memcpy(to, FakeReservedMemory::data() + offset, bytes);
      }
      void write(std::size_t offset, std::size_t bytes, const std::byte* from) override {
        std::memcpy(FakeReservedMemory::data() + offset, from, bytes);
      }
    };
    std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override {
      return std::make_unique<Reserved>(capacity, commit_limit);
    }
  };
  DeviceMemory device;
  CacheLayout layout = small_layout();
  const ContextImage image = image_of(layout, request_of(40, 2, 8));
  CachePools pools(device, layout, kPlenty);
  pools.enable_prefix_index();
  REQUIRE(import_context(pools, image).ok());
  const auto back = export_context(pools, image.salt, image.tokens);
  REQUIRE(back.ok());
  CHECK(back.value().tokens == image.tokens);
  CHECK(back.value().pages == image.pages);
  CHECK(back.value().state == image.state);
}
