#include "kernels/cpu/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "kernels/philox.h"

namespace krait::cpu {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

bool in_vocabulary(std::span<const float> logits, std::int32_t token) {
  return token >= 0 && static_cast<std::size_t>(token) < logits.size();
}

/// Repetition over prompt and output (Keskar et al., 2019); presence and frequency over the output (OpenAI's formula).
void apply_penalties(std::span<float> logits, const SampleRow& row) {
  const bool repetition = row.repetition_penalty != 1.0F;
  const bool counted = row.presence_penalty != 0.0F || row.frequency_penalty != 0.0F;
  if (!repetition && !counted) return;
  std::unordered_map<std::int32_t, int> counts;
  for (const std::int32_t token : row.output_tokens) {
    if (in_vocabulary(logits, token)) ++counts[token];
  }
  const auto repeat = [&](std::int32_t token) {
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0.0F ? logit / row.repetition_penalty : logit * row.repetition_penalty;
  };
  if (repetition) {
    std::unordered_set<std::int32_t> seen;
    for (const std::int32_t token : row.prompt_tokens) {
      if (in_vocabulary(logits, token) && !counts.contains(token) && seen.insert(token).second) repeat(token);
    }
    for (const auto& [token, count] : counts) repeat(token);
  }
  for (const auto& [token, count] : counts) {
    float& logit = logits[static_cast<std::size_t>(token)];
    logit -= row.frequency_penalty * static_cast<float>(count);
    logit -= row.presence_penalty;
  }
}

void apply_masks(std::span<float> logits, const SampleRow& row) {
  for (const std::int32_t token : row.banned_tokens) {
    if (in_vocabulary(logits, token)) logits[static_cast<std::size_t>(token)] = kNever;
  }
  if (row.allowed_bitmask.empty()) return;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const std::size_t word = i / 32;
    const bool allowed = word < row.allowed_bitmask.size() && ((row.allowed_bitmask[word] >> (i % 32)) & 1U) != 0;
    if (!allowed) logits[i] = kNever;
  }
}

std::size_t first_equal(std::span<const float> logits, float value) {
  return static_cast<std::size_t>(std::find(logits.begin(), logits.end(), value) - logits.begin());
}

/// Log-probabilities of the raw logits, before anything touches them.
class LogProbs {
 public:
  LogProbs(const KernelTable& kernels, std::span<const float> logits, float max)
      : logits_(logits.begin(), logits.end()), max_(max) {
    std::vector<float> powers(logits.size());
    kernels.exp_row(logits.data(), max, 1.0F, powers.data(), static_cast<Index>(powers.size()));
    double sum = 0.0;
    for (const float power : powers) sum += static_cast<double>(power);
    log_sum_ = std::log(sum);
  }

  [[nodiscard]] float at(std::size_t token) const {
    return static_cast<float>(static_cast<double>(logits_[token]) - static_cast<double>(max_) - log_sum_);
  }
  /// 1 plus the number of tokens that are more likely.
  [[nodiscard]] int rank(std::size_t token) const {
    const float logit = logits_[token];
    return 1 + static_cast<int>(std::count_if(logits_.begin(), logits_.end(), [&](float x) { return x > logit; }));
  }
  [[nodiscard]] std::vector<TokenLogprob> best(int count) const {
    std::vector<std::int32_t> ids(logits_.size());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
    const auto kept = std::min(ids.size(), static_cast<std::size_t>(std::max(count, 0)));
    const auto better = [&](std::int32_t a, std::int32_t b) {
      const float x = logits_[static_cast<std::size_t>(a)];
      const float y = logits_[static_cast<std::size_t>(b)];
      return x > y || (x == y && a < b);
    };
    std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept), ids.end(), better);
    std::vector<TokenLogprob> top;
    for (std::size_t i = 0; i < kept; ++i) top.push_back({ids[i], at(static_cast<std::size_t>(ids[i]))});
    return top;
  }

 private:
  std::vector<float> logits_;
  float max_;
  double log_sum_ = 0.0;
};

struct Candidate {
  std::int32_t token = 0;
  float weight = 0.0F;  ///< proportional to the probability
};

bool heavier(const Candidate& a, const Candidate& b) {
  return a.weight > b.weight || (a.weight == b.weight && a.token < b.token);
}

double total_weight(std::span<const Candidate> candidates) {
  double sum = 0.0;
  for (const Candidate& candidate : candidates) sum += static_cast<double>(candidate.weight);
  return sum;
}

/// Keeps the heaviest `k`, sorted.
void keep_top_k(std::vector<Candidate>& candidates, std::size_t k) {
  k = std::min(k, candidates.size());
  const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(k);
  if (k < candidates.size()) std::nth_element(candidates.begin(), middle, candidates.end(), heavier);
  candidates.resize(k);
  std::sort(candidates.begin(), candidates.end(), heavier);
}

/// Keeps the fewest heaviest candidates whose share reaches top_p, at least one. A small head is sorted first and
/// enlarged only when its share does not suffice: a vocabulary is rarely sorted whole.
void keep_top_p(std::vector<Candidate>& candidates, float top_p, bool sorted) {
  const double wanted = static_cast<double>(top_p) * total_weight(candidates);
  std::size_t head = sorted ? candidates.size() : std::min<std::size_t>(256, candidates.size());
  for (;;) {
    const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(head);
    if (!sorted) {
      if (head < candidates.size()) std::nth_element(candidates.begin(), middle, candidates.end(), heavier);
      std::sort(candidates.begin(), middle, heavier);
    }
    double sum = 0.0;
    for (std::size_t i = 0; i < head; ++i) {
      sum += static_cast<double>(candidates[i].weight);
      if (sum >= wanted) {
        candidates.resize(i + 1);
        return;
      }
    }
    if (head == candidates.size()) return;
    head = std::min(head * 8, candidates.size());
  }
}

/// The candidate at which the running sum passes `uniform` of the whole. Never one of weight 0.
std::int32_t draw(std::span<const Candidate> candidates, double uniform) {
  const double target = uniform * total_weight(candidates);
  double sum = 0.0;
  std::int32_t last = -1;
  for (const Candidate& candidate : candidates) {
    if (candidate.weight <= 0.0F) continue;
    sum += static_cast<double>(candidate.weight);
    last = candidate.token;
    if (sum > target) break;
  }
  return last;
}

std::int32_t draw_token(const KernelTable& kernels, std::span<float> logits, float max, const SampleRow& row) {
  kernels.exp_row(logits.data(), max, 1.0F / row.temperature, logits.data(), static_cast<Index>(logits.size()));
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  // The best token's weight is 1, so min-p is a plain threshold.
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float weight = logits[i];
    if (weight > 0.0F && weight >= row.min_p) candidates.push_back({static_cast<std::int32_t>(i), weight});
  }
  const bool top_k = row.top_k > 0 && static_cast<std::size_t>(row.top_k) < candidates.size();
  if (top_k) keep_top_k(candidates, static_cast<std::size_t>(row.top_k));
  if (row.top_p < 1.0F) keep_top_p(candidates, row.top_p, top_k);
  return draw(candidates, uniform_draw(row.seed, row.position));
}

}  // namespace

SampledToken sample_row(const KernelTable& kernels, std::span<float> logits, const SampleRow& row) {
  SampledToken sampled;
  const auto count = static_cast<Index>(logits.size());
  const RowStats raw = kernels.row_stats(logits.data(), count);
  if (raw.has_nan || !std::isfinite(raw.max)) return sampled;
  std::vector<LogProbs> logprobs;
  if (row.num_logprobs >= 0) logprobs.emplace_back(kernels, logits, raw.max);

  for (const auto& [token, bias] : row.logit_bias) {
    if (in_vocabulary(logits, token)) logits[static_cast<std::size_t>(token)] += bias;
  }
  apply_penalties(logits, row);
  apply_masks(logits, row);
  const RowStats stats = kernels.row_stats(logits.data(), count);
  if (stats.has_nan || !std::isfinite(stats.max)) return sampled;
  // Below this a division by the temperature would overflow; the limit is greedy.
  constexpr float kGreedyTemperature = 1e-5F;
  sampled.token = row.temperature < kGreedyTemperature ? static_cast<std::int32_t>(first_equal(logits, stats.max))
                                                       : draw_token(kernels, logits, stats.max, row);
  if (!logprobs.empty()) {
    const auto token = static_cast<std::size_t>(sampled.token);
    sampled.logprob = logprobs[0].at(token);
    sampled.rank = logprobs[0].rank(token);
    sampled.top = logprobs[0].best(row.num_logprobs);
  }
  return sampled;
}

}  // namespace krait::cpu
