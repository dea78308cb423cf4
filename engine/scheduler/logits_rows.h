#pragma once

#include <vector>

#include "engine/request/engine_request.h"
#include "kernels/result.h"

namespace krait {

/// Which rows of logits a request still has to be given. Row p is what the model says after the token at position p;
/// the rows that a caller may ask for (of the prompt, of its last token, of every generated token) are one run of
/// positions, and each is delivered once and in order, also when a preempted request computes its history again.
class LogitsRows {
 public:
  explicit LogitsRows(const EngineRequest& request);

  /// What to ask of the runner for the piece of positions [begin, end).
  [[nodiscard]] PromptLogits wanted(int begin, int end) const;

  /// Keeps, of the runner's rows for that piece, those not delivered yet. An internal error when their number is not
  /// what was asked.
  [[nodiscard]] Result<std::vector<std::vector<float>>> take(int begin, int end, std::vector<std::vector<float>> rows);

 private:
  int next_ = 0;  ///< the first position whose row is still to come
  int end_ = 0;   ///< the first position past the last row
};

}  // namespace krait
