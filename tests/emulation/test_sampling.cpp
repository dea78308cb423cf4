#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "kernels/philox.h"
#include "tests/emulation/emulation_support.h"

// The device's sampler against the CPU's (edits, greedy, log-probabilities) and against a reference in double precision
// (draws: the CPU adds weights up in another order).

using namespace krait;
using namespace krait::test;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<SampledToken> sample(Operations& ops, Matrix logits, const std::vector<SampleRow>& rows) {
  std::vector<SampledToken> out(rows.size());
  ops.sample({logits.view(), rows, out});
  return out;
}

/// A row's lists, which SampleRow only refers to.
struct RowData {
  std::vector<std::int32_t> prompt, output, banned;
  std::vector<std::pair<std::int32_t, float>> bias;
  std::vector<std::uint32_t> mask;
};

SampleRow random_row(Random& random, int vocab, RowData& data) {
  SampleRow row;
  const auto tokens = [&](int most) {
    std::vector<std::int32_t> list;
    for (int i = random.integer(0, most); i > 0; --i) list.push_back(random.integer(0, vocab - 1));
    return list;
  };
  data = {.prompt = tokens(20), .output = tokens(20), .banned = tokens(3), .bias = {}, .mask = {}};
  for (const std::int32_t token : tokens(4)) data.bias.emplace_back(token, random.uniform(-3, 3));
  data.bias.emplace_back(vocab + 5, 100.0F);  // outside of the vocabulary: ignored
  if (random.integer(0, 1) == 1) {
    for (int word = 0; word < (vocab + 31) / 32; ++word) {
      data.mask.push_back(static_cast<std::uint32_t>(random.integer(0, 0x7fffffff)));
    }
  }
  if (random.integer(0, 1) == 1) row.repetition_penalty = random.uniform(0.5F, 2.0F);
  if (random.integer(0, 1) == 1) row.presence_penalty = random.uniform(-1, 1);
  if (random.integer(0, 1) == 1) row.frequency_penalty = random.uniform(-1, 1);
  row.prompt_tokens = data.prompt;
  row.output_tokens = data.output;
  row.banned_tokens = data.banned;
  row.logit_bias = data.bias;
  row.allowed_bitmask = data.mask;
  row.num_logprobs = random.integer(-1, 5);
  return row;
}

/// The token that a draw gives, in double precision; -1 where rounding decides.
int expected_token(const std::vector<float>& logits, const SampleRow& row) {
  struct Candidate {
    int token;
    double weight;
  };
  const float best = *std::max_element(logits.begin(), logits.end());
  std::vector<Candidate> kept;
  constexpr double kUnit = 0x1p-40;
  for (int i = 0; i < static_cast<int>(logits.size()); ++i) {
    const double weight = std::exp(static_cast<double>(logits[static_cast<std::size_t>(i)] - best) /
                                   static_cast<double>(row.temperature));
    if (std::abs(weight - static_cast<double>(row.min_p)) < 1e-5) return -1;
    if (weight >= kUnit && weight >= static_cast<double>(row.min_p)) kept.push_back({i, weight});
  }
  std::stable_sort(kept.begin(), kept.end(),
                   [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });
  if (row.top_k > 0 && static_cast<std::size_t>(row.top_k) < kept.size()) {
    kept.resize(static_cast<std::size_t>(row.top_k));
  }
  double total = 0.0;
  for (const Candidate& one : kept) total += one.weight;
  if (row.top_p < 1.0F) {
    const double wanted = static_cast<double>(row.top_p) * total;
    double sum = 0.0;
    std::size_t n = 0;
    do {
      sum += kept[n++].weight;
      if (std::abs(sum - wanted) < 1e-5 * total) return -1;
    } while (sum < wanted && n < kept.size());
    kept.resize(n);
    total = sum;
  }
  std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  const double target = uniform_draw(row.seed, row.position) * total;
  double sum = 0.0;
  for (const Candidate& one : kept) {
    sum += one.weight;
    if (std::abs(sum - target) < 1e-5 * total) return -1;
    if (sum > target) return one.token;
  }
  return -1;
}

struct Gpu {
  std::unique_ptr<CudaPlatform> platform = make_emulated_platform();
  std::unique_ptr<Queue> queue = platform->create_queue();
};

}  // namespace

TEST_CASE("emulated: greedy tokens, edits and log-probabilities are the CPU's") {
  Gpu gpu;
  Machine cpu("portable", 1);
  Random random(5);
  in_every_order([&] {
    for (const int vocab : {1, 31, 200, 3001}) {
      const int count = random.integer(1, 4);
      Matrix logits = random.matrix(count, vocab, 6.0F);
      // Equal logits: the lower id wins.
      for (float& x : logits.data) x = std::round(x * 8.0F) / 8.0F;
      std::vector<RowData> data(static_cast<std::size_t>(count));
      std::vector<SampleRow> rows;
      for (RowData& one : data) {
        rows.push_back(random_row(random, vocab, one));
        rows.back().temperature = 0.0F;
      }
      const auto found = sample(gpu.queue->ops(), logits, rows);
      const auto expected = sample(cpu.ops(), logits, rows);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(vocab, i);
        CHECK(found[i].token == expected[i].token);
        CHECK(found[i].rank == expected[i].rank);
        CHECK(found[i].logprob == Approx(expected[i].logprob).margin(1e-5));
        REQUIRE(found[i].top.size() == expected[i].top.size());
        for (std::size_t n = 0; n < found[i].top.size(); ++n) {
          CHECK(found[i].top[n].token == expected[i].top[n].token);
          CHECK(found[i].top[n].logprob == Approx(expected[i].top[n].logprob).margin(1e-5));
        }
      }
    }
  });
}

TEST_CASE("emulated: draws follow top-k, top-p and min-p") {
  Gpu gpu;
  Random random(11);
  int drawn = 0, compared = 0;
  in_every_order([&] {
    for (const int vocab : {2, 40, 1500, 2500}) {
      const Matrix logits = random.matrix(1, vocab, 5.0F);
      std::vector<SampleRow> rows;
      for (int i = 0; i < 6; ++i) {
        SampleRow row{.temperature = random.uniform(0.3F, 2.0F), .seed = 3, .position = static_cast<std::uint64_t>(i)};
        if (random.integer(0, 1) == 1) row.top_k = random.integer(1, vocab);
        if (random.integer(0, 1) == 1) row.top_p = random.uniform(0.0F, 1.0F);
        if (random.integer(0, 3) == 0) row.min_p = random.uniform(0.0F, 0.5F);
        rows.push_back(row);
      }
      Matrix batch(0, vocab);
      for (std::size_t i = 0; i < rows.size(); ++i) batch.append(logits);
      const auto found = sample(gpu.queue->ops(), batch, rows);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const int expected = expected_token(logits.data, rows[i]);
        ++drawn;
        if (expected < 0) continue;
        CAPTURE(vocab, rows[i].top_k, rows[i].top_p, rows[i].min_p, rows[i].temperature);
        CHECK(found[i].token == expected);
        // Alone as in the batch.
        CHECK(sample(gpu.queue->ops(), logits, {rows[i]}).front().token == found[i].token);
        ++compared;
      }
    }
  });
  CHECK(3 * compared > 2 * drawn);
}

TEST_CASE("emulated: among equal weights the lower ids are kept") {
  Gpu gpu;
  const Matrix flat(1, 2100, 0.5F);
  std::set<int> drawn;
  for (int i = 0; i < 60; ++i) {
    const SampleRow row{.top_k = 5, .seed = 1, .position = static_cast<std::uint64_t>(i)};
    drawn.insert(sample(gpu.queue->ops(), flat, {row}).front().token);
  }
  CHECK(drawn == std::set<int>{0, 1, 2, 3, 4});
  const SampleRow half{.top_p = 0.5F, .seed = 1};
  CHECK(sample(gpu.queue->ops(), flat, {half}).front().token < 1050);
}

TEST_CASE("emulated: a NaN, an infinity or no finite logit is reported, whatever is banned") {
  Gpu gpu;
  const std::vector<std::int32_t> second{1};
  const std::vector<std::uint32_t> first_only{1};
  for (const float temperature : {0.0F, 1.0F}) {
    for (const float unfit : {std::nanf(""), kInf}) {
      Matrix logits(4, 3, 1.0F);
      for (int row = 0; row < 3; ++row) logits.at(row, 1) = unfit;
      std::vector<SampleRow> rows(4, SampleRow{.temperature = temperature});
      rows[1].banned_tokens = second;
      rows[2].allowed_bitmask = first_only;
      const auto found = sample(gpu.queue->ops(), logits, rows);
      for (std::size_t i = 0; i < 3; ++i) CHECK(found[i].token == -1);
      CHECK(found[3].token >= 0);
    }
    CHECK(sample(gpu.queue->ops(), Matrix(1, 2, -kInf), {{.temperature = temperature}}).front().token == -1);
  }
}
