#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/result.h"

namespace krait {

/// How far one answer is in its constraint. Used by one thread at a time.
class ConstraintMatcher {
 public:
  virtual ~ConstraintMatcher() = default;

  /// Goes on by one token of the answer. Fails when the constraint does not allow it; the matcher must not be used
  /// then.
  [[nodiscard]] virtual Status accept(std::int32_t token) = 0;

  /// Sets the bits of exactly those tokens that may come next; `mask` has one bit a vocabulary entry, of token i in
  /// word i / 32. End tokens are allowed where the answer may end. Fails when no token is allowed, or when finding out
  /// took more than the limits allow.
  [[nodiscard]] virtual Status fill_mask(std::span<std::uint32_t> mask) = 0;

  /// Whether the answer so far is a whole one, with or without an end token.
  [[nodiscard]] virtual bool complete() const = 0;
};

/// A constraint made ready for one vocabulary. Immutable, shared by all requests that state it.
class CompiledConstraint {
 public:
  virtual ~CompiledConstraint() = default;

  [[nodiscard]] virtual std::unique_ptr<ConstraintMatcher> make_matcher() const = 0;
  [[nodiscard]] virtual int vocab_size() const = 0;
  [[nodiscard]] virtual bool is_end_token(std::int32_t token) const = 0;
  [[nodiscard]] virtual std::size_t bytes() const = 0;  ///< of memory, about

  /// Words of a mask.
  [[nodiscard]] std::size_t mask_words() const { return (static_cast<std::size_t>(vocab_size()) + 31) / 32; }
};

}  // namespace krait
