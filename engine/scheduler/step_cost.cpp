#include "engine/scheduler/step_cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace krait {
namespace {

/// Weight of the latest step in the averages: a few steps are enough to follow, one is not enough to be led astray.
constexpr double kNews = 0.25;

/// Without a target of its own a step may take this many times what it takes without prompts: streams are known to keep
/// under three times, and prompts get more than half of the time.
constexpr double kStretch = 2.2;

/// Below this a step is short for any reader, and smaller pieces would only cost efficiency.
constexpr double kShortestTarget = 0.004;

/// Prompts get at least this share of the time, whatever the target.
constexpr double kLeastShare = 0.4;

/// Pieces of prompts below this many tokens mostly cost what any step costs; they tell little of one token's price.
constexpr int kTellingTokens = 8;

/// What a step has before anything is known.
constexpr int kFirstTokens = 64;

/// Pieces are no shorter, and where the target leaves less than a tile they are multiples of this.
constexpr int kLeastTokens = 8;

void blend(double& average, double news) { average = average == 0 ? news : average + kNews * (news - average); }

std::size_t digits(int decodes) { return std::bit_width(static_cast<unsigned>(std::max(decodes, 0))); }

}  // namespace

void StepCost::learn(int decodes, int prefill_tokens, double seconds) {
  if (!(seconds > 0)) return;
  if (prefill_tokens == 0) return blend(decode_seconds_[digits(decodes) % decode_seconds_.size()], seconds);
  if (prefill_tokens < kTellingTokens) return;
  if (decodes == 0) return blend(alone_, seconds / prefill_tokens);
  const std::optional<double> without = decode_seconds(decodes);
  if (!without) return;
  // A step that took no longer than without prompts was lucky; tokens are never free.
  blend(beside_decodes_, std::max(seconds - *without, seconds / 20) / prefill_tokens);
}

std::optional<double> StepCost::decode_seconds(int decodes) const {
  const std::size_t at = digits(decodes) % decode_seconds_.size();
  for (std::size_t distance = 0; distance < decode_seconds_.size(); ++distance) {
    if (distance <= at && decode_seconds_[at - distance] > 0) return decode_seconds_[at - distance];
    if (at + distance < decode_seconds_.size() && decode_seconds_[at + distance] > 0) {
      return decode_seconds_[at + distance];
    }
  }
  return std::nullopt;
}

std::optional<double> StepCost::prefill_token_seconds() const {
  if (beside_decodes_ > 0) return beside_decodes_;
  if (alone_ > 0) return alone_;
  return std::nullopt;
}

int prefill_allowance(const StepCost& cost, const PrefillShare& share, int decodes, int limit) {
  if (decodes == 0) return limit;
  const std::optional<double> step = cost.decode_seconds(decodes);
  const std::optional<double> token = cost.prefill_token_seconds();
  if (!step || !token) return std::min(limit, kFirstTokens);
  const double target = share.target_seconds > 0 ? share.target_seconds : std::max(kStretch * *step, kShortestTarget);
  const double seconds = std::max(target - *step, *step * kLeastShare / (1 - kLeastShare));
  const double tokens = std::min(seconds / *token, static_cast<double>(limit));
  if (tokens >= limit) return limit;
  const int whole = static_cast<int>(tokens);
  const int unit = whole >= share.tile ? std::max(share.tile, 1) : kLeastTokens;
  return std::min(limit, std::max(whole / unit * unit, kLeastTokens));
}

}  // namespace krait
