#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/sampling.h"

namespace krait {

/// Tokens that a queue is sampling.
class PendingTokens {
 public:
  virtual ~PendingTokens() = default;
  /// Until they are there; operations queued later are not waited for. `out` as in SampleArgs.
  virtual void wait(std::span<SampledToken> out) = 0;
};

/// Sampling by a queue that works while the host goes on: the tokens of a step can enter the next one before the host
/// has seen them. At most two steps are under way: a third is staged when the first one's tokens have been waited for.
class TokenSampler {
 public:
  virtual ~TokenSampler() = default;
  /// Operations::sample without waiting; `args.out` is not used, and its spans are read before the call returns.
  virtual std::unique_ptr<PendingTokens> sample(const SampleArgs& args) = 0;
  /// For every i with rows[i] >= 0, the device's copy of ids[i] becomes the token that was sampled last for that row (0
  /// where none could be). Both are arrays of the step that was staged last.
  virtual void feed(std::span<const std::int32_t> ids, std::span<const std::int32_t> rows) = 0;
};

}  // namespace krait
