#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/emulation/platform_under_test.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/tiny_model.h"

// Steps of decodes as graphs: the same bits as operation by operation, whatever came between the recording and the
// start. `kVerified` also records each step again and compares every launch with all its arguments.

using namespace krait;
using namespace krait::test;

namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

TinyModel emulated(const std::string& fixture, GraphUse use, const MambaConfig& mamba = {}) {
  TinyModel::Options options;
  options.mamba = mamba;
  options.make_platform = [] { return make_platform_under_test(); };
  options.graphs = use;
  return TinyModel(fixture, options);
}

std::vector<std::int32_t> some_tokens(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(random() % 60));
  return tokens;
}

/// One model under two uses of graphs, which do the same steps.
class Twins {
 public:
  Twins(const std::string& fixture, GraphUse first, GraphUse second, const MambaConfig& mamba = {})
      : models_{emulated(fixture, first, mamba), emulated(fixture, second, mamba)} {}

  /// A sequence with `tokens` tokens in the caches.
  std::size_t start(std::size_t tokens) {
    for (std::size_t twin = 0; twin < 2; ++twin) {
      sequences_[twin].push_back(models_[twin].start());
      models_[twin].run(sequences_[twin].back(), some_tokens(tokens, static_cast<std::uint32_t>(tokens)));
    }
    return sequences_[0].size() - 1;
  }
  /// One token for each of these sequences, and a new prompt beside them if `prompt` > 0. Same logits, bit for bit.
  void step(const std::vector<std::size_t>& who, std::size_t prompt = 0) {
    ++steps_;
    std::vector<std::vector<Row>> rows[2];
    for (std::size_t twin = 0; twin < 2; ++twin) {
      std::vector<Piece> pieces;
      for (const std::size_t i : who) {
        const auto seed = static_cast<std::uint32_t>(steps_ * 100 + i);
        pieces.push_back({.sequence = &sequences_[twin][i], .tokens = some_tokens(1, seed), .is_decode = true});
      }
      Sequence joining = models_[twin].start();
      if (prompt > 0) pieces.push_back({.sequence = &joining, .tokens = some_tokens(prompt, 5)});
      rows[twin] = models_[twin].step(pieces);
    }
    CAPTURE(steps_, who.size(), prompt);
    CHECK(rows[0] == rows[1]);
  }
  [[nodiscard]] std::int64_t launches(std::size_t twin) const { return models_[twin].runner().graph_launches(); }
  [[nodiscard]] const TinyModel& model(std::size_t twin) const { return models_[twin]; }
  [[nodiscard]] const Sequence& sequence(std::size_t twin, std::size_t i) const { return sequences_[twin][i]; }

 private:
  TinyModel models_[2];
  std::vector<Sequence> sequences_[2];
  int steps_ = 0;
};

const std::string kFolder = "tests/golden/models/";

}  // namespace

TEST_CASE("graphs: every family decodes the same bits as without, padded and with others joining") {
  for (const std::string& fixture : fixture_folders()) {
    CAPTURE(fixture);
    Twins twins(fixture, GraphUse::kNever, GraphUse::kVerified);
    for (const std::size_t tokens : {4, 6, 1}) twins.start(tokens);
    for (int i = 0; i < 3; ++i) twins.step({0, 1, 2});
    twins.step({1}, 2);  // a prompt among them: operation by operation
    for (int i = 0; i < 2; ++i) twins.step({2});
    twins.step({0, 1, 2});
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(twins.model(0).state(twins.sequence(0, i)) == twins.model(1).state(twins.sequence(1, i)));
    }
    CHECK(twins.launches(0) == 0);
    CHECK(twins.launches(1) == 4);
  }
}

TEST_CASE("graphs: a padded step gives each row what it has alone") {
  for (const char* fixture : {"granitemoehybrid_moe", "qwen3_next", "jamba", "deepseek_v3"}) {
    if (kSlowBuild && fixture != std::string("granitemoehybrid_moe")) continue;
    CAPTURE(fixture);
    TinyModel model = emulated(kFolder + fixture, GraphUse::kVerified);
    TinyModel reference = emulated(kFolder + fixture, GraphUse::kNever);
    std::vector<Sequence> together;
    std::vector<Sequence> alone;
    for (std::uint32_t i = 0; i < 3; ++i) {
      together.push_back(model.start());
      alone.push_back(reference.start());
      model.run(together.back(), some_tokens(4 + i, i));
      reference.run(alone.back(), some_tokens(4 + i, i));
    }
    for (std::uint32_t step = 0; step < 4; ++step) {
      std::vector<Piece> pieces;
      std::vector<std::vector<Row>> expected;
      for (std::uint32_t i = 0; i < 3; ++i) {
        const auto tokens = some_tokens(1, step * 10 + i);
        pieces.push_back({.sequence = &together[i], .tokens = tokens, .is_decode = true});
        expected.push_back(reference.run(alone[i], tokens, true));
      }
      CHECK(model.step(pieces) == expected);
    }
    CHECK(model.runner().graph_launches() == 3);
  }
}

TEST_CASE("graphs: sequences that grow over borders of segments and buckets, and buckets in turns") {
  // Full attention, windows with sinks, windows, latent attention, and a hybrid; a little before a border.
  const std::vector<std::pair<std::string, std::size_t>> cases{
      {"llama", 510}, {"gpt_oss", 253}, {"mistral_swa", 253}, {"deepseek_v3", 253}, {"granitemoehybrid_dense", 253}};
  for (const auto& [fixture, length] : cases) {
    if (kSlowBuild && fixture != "gpt_oss") continue;
    CAPTURE(fixture);
    Twins twins(kFolder + fixture, GraphUse::kNever, GraphUse::kVerified);
    for (const std::size_t tokens : {length, std::size_t{3}, std::size_t{10}}) twins.start(tokens);
    for (int i = 0; i < 4; ++i) {
      twins.step({0});
      twins.step({1, 2});
      twins.step({2, 0, 1});
    }
    twins.step({0, 1}, 4);
    for (int i = 0; i < 2; ++i) twins.step({0, 1, 2});
    // Of the first sequence alone 2 + 2 steps on either side of the border, of all 1 + 3 + 2, of the others 4; the
    // first of each bucket is none.
    CHECK(twins.launches(1) == 9);
  }
}

TEST_CASE("graphs: memory that grows after a recording is found again") {
  Twins twins(kFolder + "granitemoehybrid_moe", GraphUse::kNever, GraphUse::kRecorded);
  twins.start(4);
  for (int i = 0; i < 3; ++i) twins.step({0});
  CHECK(twins.launches(1) == 2);
  // A longer prompt than any before: the operations' memory moves.
  twins.start(100);
  for (int i = 0; i < 2; ++i) twins.step({0});
  for (int i = 0; i < 2; ++i) twins.step({0, 1});
  twins.step({0});
  CHECK(twins.launches(1) == 6);
}

TEST_CASE("graphs: a prompt of one token is no decode, though it looks like one") {
  TinyModel model = emulated(kFolder + "mamba2", GraphUse::kVerified);
  for (int i = 0; i < 4; ++i) {
    Sequence sequence = model.start();
    model.run(sequence, {7});
  }
  CHECK(model.runner().graph_launches() == 0);
  Sequence sequence = model.start();
  const auto first = model.run(sequence, {7});
  Sequence other = model.start();
  for (int i = 0; i < 3; ++i) model.run(sequence, {8}, true);
  CHECK(model.runner().graph_launches() == 2);
  CHECK(model.run(other, {7}) == first);
}

TEST_CASE("graphs: states that are rounded stochastically, by the position of each token") {
  MambaConfig mamba;
  mamba.ssm_cache_dtype = DType::kFloat16;
  mamba.enable_stochastic_rounding = true;
  for (const char* fixture : {"mamba", "mamba2"}) {
    CAPTURE(fixture);
    Twins twins(kFolder + fixture, GraphUse::kNever, GraphUse::kVerified, mamba);
    for (const std::size_t tokens : {3, 5, 1}) twins.start(tokens);
    for (int i = 0; i < 4; ++i) twins.step({0, 1, 2});
    CHECK(twins.model(0).state(twins.sequence(0, 2)) == twins.model(1).state(twins.sequence(1, 2)));
    CHECK(twins.launches(1) == 3);
  }
}

TEST_CASE("graphs: a step that queues something else than its graph is found") {
  const auto platform = make_platform_under_test();
  const auto queue = platform->create_queue();
  const std::vector<float> values{1, 2, 3, 4};
  const Buffer from = platform->upload(values.data(), values.size() * sizeof(float));
  const Buffer to = platform->allocate(2 * sizeof(float));
  const std::vector<std::int32_t> rows{3, 2};
  StepArrays arrays;
  arrays.add(rows);
  std::size_t picked = 2;  // what a host might read off a length
  const auto pick = [&] {
    queue->ops().gather_rows({.x = {from.data.get(), DType::kFloat32, Shape{4, 1}},
                              .indices = std::span(rows).first(picked),
                              .out = {to.data.get(), DType::kFloat32, Shape{2, 1}}});
  };
  DecodeGraphs graphs(*queue, *queue->graphs());
  graphs.set_use(GraphUse::kVerified);
  for (int i = 0; i < 3; ++i)
    graphs.run(
        {.rows = 2, .max_seq_len = 256}, arrays, [] {}, pick);
  CHECK(graphs.launches() == 2);
  picked = 1;
  CHECK_THROWS_WITH(graphs.run(
                        {.rows = 2, .max_seq_len = 256}, arrays, [] {}, pick),
                    Catch::Contains("not what its graph does"));
}

TEST_CASE("graphs: many rows, and buckets that are not full") {
  Twins twins(kFolder + "qwen3_5_moe", GraphUse::kNever, GraphUse::kVerified);
  std::vector<std::size_t> who;
  for (std::size_t i = 0; i < 11; ++i) who.push_back(twins.start(2 + i % 3));
  for (int i = 0; i < 3; ++i) {
    twins.step(who);
    if (i > 0) who.pop_back();
  }
  CHECK(twins.launches(1) == 2);
}
