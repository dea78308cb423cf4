#include "kernels/cuda/sampling/logit_edits.h"

#include "kernels/cuda/port.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) edit_logits_kernel(const LogitEdits args) {
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (index >= args.count) return;
  const LogitEdit edit = args.edits[index];
  float& logit = args.logits.data[edit.row * args.logits.stride + edit.token];
  float x = logit + edit.bias;
  if (edit.repetition != 1.0F) x = x > 0.0F ? x / edit.repetition : x * edit.repetition;
  x -= edit.frequency;
  x -= edit.presence;
  // A ban does not save a row that is unfit: what is not finite is for the draw to find.
  logit = edit.banned != 0 && x < INFINITY ? -INFINITY : x;
}

}  // namespace

void edit_logits(const LogitEdits& args, Stream stream) {
  if (args.count == 0) return;
  launch(edit_logits_kernel, {.grid = {blocks_for(args.count, kThreads)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
