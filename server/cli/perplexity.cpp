#include "server/cli/perplexity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace krait::server {
namespace {

/// log of the sum of exp(logits); minus infinity where all are.
double log_sum_exp(std::span<const float> logits) {
  const auto top = static_cast<double>(*std::ranges::max_element(logits));
  if (std::isinf(top)) return top;
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

}  // namespace

std::vector<ScoredWindow> cut_windows(std::size_t tokens, std::size_t context, std::size_t stride) {
  std::vector<ScoredWindow> windows;
  std::size_t scored = 0;  // tokens that earlier windows had
  for (std::size_t begin = 0; scored < tokens; begin += stride) {
    const std::size_t end = std::min(begin + context, tokens);
    const std::size_t first = std::max(scored, begin + 1);
    if (first < end) windows.push_back({.begin = begin, .end = end, .first_scored = first});
    scored = end;
  }
  return windows;
}

double log_probability(std::span<const float> logits, std::int32_t token) {
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_sum_exp(logits);
}

RowDifference compare_rows(std::span<const float> reference, std::span<const float> logits) {
  const double reference_sum = log_sum_exp(reference);
  const double sum = log_sum_exp(logits);
  RowDifference difference;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double log_p = static_cast<double>(reference[i]) - reference_sum;
    const double p = std::exp(log_p);
    if (p > 0.0) difference.kl_divergence += p * (log_p - (static_cast<double>(logits[i]) - sum));
  }
  // Equal rows are rounded to a few 1e-17, on either side of zero.
  difference.kl_divergence = std::max(difference.kl_divergence, 0.0);
  difference.same_best =
      std::ranges::max_element(reference) - reference.begin() == std::ranges::max_element(logits) - logits.begin();
  return difference;
}

double LikelihoodSum::perplexity() const { return std::exp(mean()); }

double DifferenceSum::mean_divergence() const {
  if (divergences_.empty()) return 0.0;
  return std::accumulate(divergences_.begin(), divergences_.end(), 0.0) / static_cast<double>(divergences_.size());
}

double DifferenceSum::divergence_percentile(double share) const {
  if (divergences_.empty()) return 0.0;
  std::vector<double> sorted = divergences_;
  std::ranges::sort(sorted);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

double DifferenceSum::same_best() const {
  return divergences_.empty() ? 0.0 : static_cast<double>(same_best_) / static_cast<double>(divergences_.size());
}

}  // namespace krait::server
