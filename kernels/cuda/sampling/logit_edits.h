#pragma once

#include <cstdint>

#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// What bias, penalties and bans do to one logit, in this order: x + bias; times or over `repetition` (away from the
/// token); minus `subtract`; minus infinity with `banned`.
struct LogitEdit {
  std::int32_t row = 0;
  std::int32_t token = 0;  ///< at most one edit a row and token
  float bias = 0.0F;
  float repetition = 1.0F;
  float frequency = 0.0F;  ///< frequency penalty times count
  float presence = 0.0F;
  std::int32_t banned = 0;
};

struct LogitEdits {
  Rows logits{};
  const LogitEdit* edits = nullptr;  ///< [count]
  int count = 0;
};
/// A thread an edit: some hundred random accesses, bound by latency.
void edit_logits(const LogitEdits& args, Stream stream);

}  // namespace krait::cuda
