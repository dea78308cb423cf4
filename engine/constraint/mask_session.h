#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "engine/constraint/compiled_constraint.h"
#include "engine/constraint/mask_threads.h"
#include "kernels/result.h"

namespace krait {

/// What a request's constraint says of its next token.
struct TokenMask {
  std::span<const std::uint32_t> bits;  ///< one bit a vocabulary entry; valid until the next `accept`
  std::optional<Error> error;           ///< the request must be failed: no token can follow, or a limit was passed
};

/// One request's way through its constraint: the mask of its next token, computed beside the engine's thread. It
/// depends on the tokens of the answer alone, so that it survives a preemption as it is.
class MaskSession {
 public:
  /// Begins to compute the first mask.
  MaskSession(std::shared_ptr<const CompiledConstraint> constraint, std::shared_ptr<MaskThreads> threads);
  /// Does not wait: what is being computed is dropped when it is done.
  ~MaskSession() = default;
  MaskSession(const MaskSession&) = delete;
  MaskSession& operator=(const MaskSession&) = delete;

  /// Goes on by a sampled token and begins to compute the next mask.
  void accept(std::int32_t token);
  /// Waits for the mask after the tokens accepted so far.
  [[nodiscard]] TokenMask wait();
  /// Whether `token` ends the answer.
  [[nodiscard]] bool is_end_token(std::int32_t token) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::shared_ptr<MaskThreads> threads_;
};

/// Whether some token that `bits` allow is not in `banned`.
[[nodiscard]] bool allows_other_than(std::span<const std::uint32_t> bits, std::span<const std::int32_t> banned);

}  // namespace krait
