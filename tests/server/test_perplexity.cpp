#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "server/cli/perplexity.h"

namespace krait::server {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_CASE("Windows of a stride of the context do not overlap, and none scores its first token") {
  const auto windows = cut_windows(10, 4, 4);
  REQUIRE(windows.size() == 3);
  CHECK((windows[0].begin == 0 && windows[0].end == 4 && windows[0].first_scored == 1));
  CHECK((windows[1].begin == 4 && windows[1].end == 8 && windows[1].first_scored == 5));
  CHECK((windows[2].begin == 8 && windows[2].end == 10 && windows[2].first_scored == 9));
}

TEST_CASE("A last window of one token scores nothing and is left out") {
  CHECK(cut_windows(9, 4, 4).size() == 2);
  CHECK(cut_windows(1, 4, 4).empty());
  CHECK(cut_windows(0, 4, 4).empty());
}

TEST_CASE(
    "With any smaller stride every token but the first is scored once, with at least context - stride before it") {
  for (std::size_t tokens = 2; tokens < 40; ++tokens) {
    for (std::size_t context = 2; context < 12; ++context) {
      for (std::size_t stride = 1; stride < context; ++stride) {
        CAPTURE(tokens, context, stride);
        std::size_t next = 1;
        for (const ScoredWindow& window : cut_windows(tokens, context, stride)) {
          REQUIRE(window.first_scored == next);
          REQUIRE(window.end - window.begin <= context);
          REQUIRE(window.first_scored > window.begin);
          if (window.begin > 0) REQUIRE(window.first_scored - window.begin >= context - stride);
          next = window.end;
        }
        REQUIRE(next == tokens);
      }
    }
  }
}

TEST_CASE("Rows are compared as distributions: what is added to all logits changes nothing") {
  const std::vector<float> row = {1.0F, 2.0F, 3.0F};
  const std::vector<float> shifted = {101.0F, 102.0F, 103.0F};
  CHECK(compare_rows(row, shifted).kl_divergence == Approx(0.0).margin(1e-12));
  CHECK(log_probability(shifted, 2) == Approx(-std::log(1.0 + std::exp(-1.0) + std::exp(-2.0))));
}

TEST_CASE("The divergence is the reference's expectation of the difference of log-probabilities") {
  // Logits that are logs of probabilities: (1/2, 1/4, 1/4) against (1/4, 1/2, 1/4).
  const std::vector<float> reference = {std::log(0.5F), std::log(0.25F), std::log(0.25F)};
  const std::vector<float> other = {std::log(0.25F), std::log(0.5F), std::log(0.25F)};
  const RowDifference difference = compare_rows(reference, other);
  CHECK(difference.kl_divergence == Approx(0.5 * std::log(2.0) - 0.25 * std::log(2.0)).epsilon(1e-6));
  CHECK_FALSE(difference.same_best);
  CHECK(compare_rows(reference, reference).same_best);
}

TEST_CASE("A token that is ruled out costs nothing in the reference and everything in the other run") {
  const std::vector<float> without = {0.0F, 0.0F, -kInfinity};
  const std::vector<float> with = {0.0F, 0.0F, 0.0F};
  CHECK(compare_rows(without, with).kl_divergence == Approx(std::log(1.5)));
  CHECK(std::isinf(compare_rows(with, without).kl_divergence));
  CHECK(std::isinf(log_probability(without, 2)));
}

TEST_CASE("Sums over texts are sums over their tokens") {
  LikelihoodSum first;
  first.add(-1.0);
  LikelihoodSum second;
  second.add(-2.0);
  second.add(-6.0);
  first.add(second);
  CHECK(first.tokens() == 3);
  CHECK(first.mean() == Approx(3.0));
  CHECK(first.perplexity() == Approx(std::exp(3.0)));

  DifferenceSum rows;
  rows.add(RowDifference{.kl_divergence = 3.0, .same_best = true});
  DifferenceSum more;
  more.add(RowDifference{.kl_divergence = 1.0, .same_best = false});
  more.add(RowDifference{.kl_divergence = 2.0, .same_best = true});
  rows.add(more);
  CHECK(rows.mean_divergence() == Approx(2.0));
  CHECK(rows.divergence_percentile(0.5) == 2.0);
  CHECK(rows.divergence_percentile(1.0) == 3.0);
  CHECK(rows.same_best() == Approx(2.0 / 3.0));
}

}  // namespace
}  // namespace krait::server
