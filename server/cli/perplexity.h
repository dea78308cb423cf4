#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace krait::server {

/// Tokens [begin, end) of a text, run from an empty state; of them [first_scored, end) count. A window's first token
/// never does: nothing precedes it.
struct ScoredWindow {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t first_scored = 0;
};

/// Windows of `context` tokens that begin at multiples of `stride` (1 to context) until the end of the text is reached.
/// Every token counts at most once, in the first window that has it: with a stride of half the context, a token is
/// scored with at least half the context before it, but for those of the first window. Less than two tokens give
/// no window.
std::vector<ScoredWindow> cut_windows(std::size_t tokens, std::size_t context, std::size_t stride);

/// log softmax(logits)[token], in double precision.
double log_probability(std::span<const float> logits, std::int32_t token);

/// How far a row of logits is from the reference's row of the same position.
struct RowDifference {
  /// sum over the vocabulary of p (log p - log q), p the reference's distribution; infinite where q is zero and p not.
  double kl_divergence = 0.0;
  bool same_best = false;  ///< both have the same most likely token (the lowest id among equals)
};
RowDifference compare_rows(std::span<const float> reference, std::span<const float> logits);

/// Negative log-likelihoods of scored tokens.
class LikelihoodSum {
 public:
  void add(double log_probability) {
    sum_ -= log_probability;
    ++tokens_;
  }
  void add(const LikelihoodSum& other) {
    sum_ += other.sum_;
    tokens_ += other.tokens_;
  }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  /// Per token; 0 of none.
  [[nodiscard]] double mean() const { return tokens_ == 0 ? 0.0 : sum_ / static_cast<double>(tokens_); }
  /// exp(mean()).
  [[nodiscard]] double perplexity() const;

 private:
  double sum_ = 0.0;
  std::int64_t tokens_ = 0;
};

/// Differences of many rows.
class DifferenceSum {
 public:
  void add(const RowDifference& row) {
    divergences_.push_back(row.kl_divergence);
    same_best_ += row.same_best ? 1 : 0;
  }
  void add(const DifferenceSum& other) {
    divergences_.insert(divergences_.end(), other.divergences_.begin(), other.divergences_.end());
    same_best_ += other.same_best_;
  }
  [[nodiscard]] double mean_divergence() const;
  /// The divergence that `share` of the rows do not exceed.
  [[nodiscard]] double divergence_percentile(double share) const;
  /// Share of the rows.
  [[nodiscard]] double same_best() const;

 private:
  std::vector<double> divergences_;
  std::int64_t same_best_ = 0;
};

}  // namespace krait::server
