#include "engine/scheduler/step_cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace krait {
namespace {

/// Least weight of the latest step in an average. What one token adds to a step is the small difference of two large
/// times that both vary, so a few steps are not enough to tell it.
constexpr double kNews = 0.08;

/// Without a target of its own a step may take this many times what it takes without prompts: streams keep under three
/// times also where steps vary by a third, and prompts get half of the time.
constexpr double kStretch = 2;

/// Below this a step is short for any reader, and smaller pieces would only cost efficiency.
constexpr double kShortestTarget = 0.004;

/// Prompts get at least this share of the time, whatever the target.
constexpr double kLeastShare = 0.4;

/// Pieces of prompts below this many tokens mostly cost what any step costs; they tell little of one token's price.
constexpr int kTellingTokens = 8;

/// What a step has before anything is known.
constexpr int kFirstTokens = 64;

/// Pieces are no shorter; where the target leaves less than a tile they are multiples of kUnit.
constexpr int kLeastTokens = 8;
constexpr int kUnit = 4;

std::size_t digits(int decodes) { return std::bit_width(static_cast<unsigned>(std::max(decodes, 0))); }

}  // namespace

void StepCost::Average::add(double news) {
  count = std::min(count + 1, 1 << 20);
  value += std::max(kNews, 1.0 / count) * (news - value);
}

void StepCost::learn(int decodes, int prefill_tokens, double seconds) {
  if (!(seconds > 0)) return;
  if (prefill_tokens == 0) return decode_seconds_[digits(decodes) % decode_seconds_.size()].add(seconds);
  if (prefill_tokens < kTellingTokens) return;
  if (decodes == 0) return alone_.add(seconds / prefill_tokens);
  const std::optional<double> without = decode_seconds(decodes);
  if (!without) return;
  // A step that took no longer than without prompts was lucky; tokens are never free.
  beside_decodes_.add(std::max(seconds - *without, seconds / 20) / prefill_tokens);
}

std::optional<double> StepCost::decode_seconds(int decodes) const {
  const std::size_t at = digits(decodes) % decode_seconds_.size();
  for (std::size_t distance = 0; distance < decode_seconds_.size(); ++distance) {
    for (const std::size_t near : {at - std::min(at, distance), std::min(at + distance, decode_seconds_.size() - 1)}) {
      if (decode_seconds_[near].count > 0) return decode_seconds_[near].value;
    }
  }
  return std::nullopt;
}

std::optional<double> StepCost::prefill_token_seconds() const {
  if (beside_decodes_.count > 0) return beside_decodes_.value;
  if (alone_.count > 0) return alone_.value;
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
  const int unit = whole >= share.tile ? std::max(share.tile, 1) : kUnit;
  return std::min(limit, std::max(whole / unit * unit, kLeastTokens));
}

}  // namespace krait
