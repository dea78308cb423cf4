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

/// The same for steps without prompts, when they are slower than the average and when they are faster. While prompts
/// are computed there are no such steps, and one spell of something else on the machine just before would make all of
/// them too long; so the average is near that of an undisturbed machine.
constexpr double kSlowerNews = 0.04;
constexpr double kFasterNews = 0.16;

/// Without a target of its own a step may take this many times what it takes without prompts on an undisturbed machine:
/// streams keep under three times also where steps vary by a third, and prompts get half of the time.
constexpr double kStretch = 1.97;

/// Below this a step is short for any reader, and smaller pieces would only cost efficiency.
constexpr double kShortestTarget = 0.004;

/// Prompts get at least this share of the time, whatever the target.
constexpr double kLeastShare = 0.4;

/// Pieces of prompts below this many tokens mostly cost what any step costs; they tell little of one token's price.
constexpr int kTellingTokens = 8;

/// What a step has before anything is known.
constexpr int kFirstTokens = 64;

/// Pieces are no shorter.
constexpr int kLeastTokens = 8;

/// The multiple of `tile` nearest to `rows`: rows that fill a tile cost next to nothing.
int nearest_multiple(int rows, int tile) { return (rows + tile / 2) / tile * tile; }

std::size_t digits(int decodes) { return std::bit_width(static_cast<unsigned>(std::max(decodes, 0))); }

}  // namespace

void StepCost::Average::add(double news, double least_weight) {
  count = std::min(count + 1, 1 << 20);
  value += std::max(least_weight, 1.0 / count) * (news - value);
}

void StepCost::learn(int decodes, int prefill_tokens, double seconds) {
  if (!(seconds > 0)) return;
  if (prefill_tokens == 0) {
    Average& average = decode_seconds_[digits(decodes) % decode_seconds_.size()];
    return average.add(seconds, seconds > average.value ? kSlowerNews : kFasterNews);
  }
  if (prefill_tokens < kTellingTokens) return;
  if (decodes == 0) return alone_.add(seconds / prefill_tokens, kNews);
  const std::optional<double> without = decode_seconds(decodes);
  if (!without) return;
  // A step that took no longer than without prompts was lucky; tokens are never free.
  beside_decodes_.add(std::max(seconds - *without, seconds / 20) / prefill_tokens, kNews);
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
  const int tile = std::max(share.tile, 1);
  if (whole >= tile) return whole / tile * tile;
  const int rows = nearest_multiple(decodes + whole, std::max(share.row_tile, 1));
  return std::min(limit, std::max(rows - decodes, kLeastTokens));
}

}  // namespace krait
