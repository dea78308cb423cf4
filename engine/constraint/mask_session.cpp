#include "engine/constraint/mask_session.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace krait {

/// Shared with the job that works on it. While `working`, matcher and bits belong to that job.
struct MaskSession::State {
  explicit State(std::shared_ptr<const CompiledConstraint> constraint_in)
      : constraint(std::move(constraint_in)), bits(constraint->mask_words()) {}

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      const std::vector<std::int32_t> tokens = std::exchange(pending, {});
      lock.unlock();
      Status status = try_advance(tokens);
      lock.lock();
      if (!status.ok()) error = std::move(status).error();
      if (error || pending.empty()) break;
    }
    working = false;
    done.notify_all();
  }

  /// A job must not throw, and memory may end anywhere.
  Status try_advance(const std::vector<std::int32_t>& tokens) {
    try {
      return advance(tokens);
    } catch (const std::exception& failure) {
      return Error{.code = ErrorCode::kInternal,
                   .message = std::string("the request's constraint could not be followed: ") + failure.what(),
                   .field = {}};
    }
  }

  Status advance(const std::vector<std::int32_t>& tokens) {
    if (matcher == nullptr) matcher = constraint->make_matcher();
    for (const std::int32_t token : tokens) {
      if (Status status = matcher->accept(token); !status.ok()) return status;
    }
    return matcher->fill_mask(bits);
  }

  const std::shared_ptr<const CompiledConstraint> constraint;
  std::unique_ptr<ConstraintMatcher> matcher;
  std::vector<std::uint32_t> bits;

  std::mutex mutex;
  std::condition_variable done;
  std::vector<std::int32_t> pending;  ///< accepted, not yet seen by the matcher
  bool working = true;
  std::optional<Error> error;
};

MaskSession::MaskSession(std::shared_ptr<const CompiledConstraint> constraint, std::shared_ptr<MaskThreads> threads)
    : state_(std::make_shared<State>(std::move(constraint))), threads_(std::move(threads)) {
  threads_->post([state = state_] { state->work(); });
}

void MaskSession::accept(std::int32_t token) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->pending.push_back(token);
    if (state_->working || state_->error) return;
    state_->working = true;
  }
  threads_->post([state = state_] { state->work(); });
}

TokenMask MaskSession::wait() {
  std::unique_lock lock(state_->mutex);
  state_->done.wait(lock, [this] { return !state_->working; });
  return {.bits = state_->bits, .error = state_->error};
}

bool MaskSession::is_end_token(std::int32_t token) const { return state_->constraint->is_end_token(token); }

bool allows_other_than(std::span<const std::uint32_t> bits, std::span<const std::int32_t> banned) {
  std::vector<std::uint32_t> left(bits.begin(), bits.end());
  for (const std::int32_t token : banned) {
    if (token < 0) continue;
    const auto word = static_cast<std::size_t>(token) / 32;
    if (word < left.size()) left[word] &= ~(1U << (static_cast<unsigned>(token) % 32U));
  }
  return std::any_of(left.begin(), left.end(), [](std::uint32_t word) { return word != 0; });
}

}  // namespace krait
