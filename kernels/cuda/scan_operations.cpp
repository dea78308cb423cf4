#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/ssm/ssd.h"
#include "kernels/cuda/ssm/ssm_recurrence.h"
#include "kernels/cuda/ssm/state_update.h"
#include "kernels/cuda/staged_sequences.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {
namespace {

StateSlots selective_slots(const StateCacheView& state) {
  require_selective_state(state);
  return {.data = state.recurrent, .stride = state.slot_stride, .dtype = state.recurrent_dtype};
}

/// Nothing is staged where nothing reads it.
const std::int32_t* rounding_positions(StepStage& stage, const StateCacheView& state,
                                       std::span<const std::int32_t> positions) {
  return state.rounding.philox_rounds == 0 ? nullptr : stage.on_device(positions);
}

}  // namespace

void CudaOperations::ssm_scan(const SsmScanArgs& args) {
  const Sequences sequences = staged_sequences(stage_, args.batch);
  if (sequences.count == 0) return;
  const std::int32_t tokens = args.batch.query_start_loc.back();
  const std::int64_t width = std::int64_t{args.heads} * args.head_dim;
  const std::int64_t group_width = std::int64_t{args.groups} * args.state_size;
  require(args.groups > 0 && args.heads % args.groups == 0, "groups of the scan");
  const SsmInputs in{.x = const_matrix(args.x, tokens, width, "x of the scan"),
                     .dt = const_matrix(args.dt, tokens, args.heads, "dt"),
                     .b = const_matrix(args.b, tokens, group_width, "B"),
                     .c = const_matrix(args.c, tokens, group_width, "C"),
                     .a = vector_or_null(args.a, args.heads, "A"),
                     .d = vector_or_null(args.d, args.heads, "D"),
                     .dt_bias = vector_or_null(args.dt_bias, args.heads, "dt bias"),
                     .dt_min = args.dt_min,
                     .dt_max = args.dt_max,
                     .heads = args.heads,
                     .head_dim = args.head_dim,
                     .groups = args.groups,
                     .state_size = args.state_size,
                     .state = selective_slots(args.state),
                     .rounding = args.state.rounding,
                     .positions = rounding_positions(stage_, args.state, args.batch.num_computed_tokens),
                     .y = matrix(args.y, tokens, width, "y of the scan")};
  require(in.a != nullptr, "a scan without A");
  if (tokens == 0) return;
  // States of 16 bits are rounded after every token, which chunks cannot do.
  cut_into_chunks(args.batch, kSsdChunk, kSsdFewTokens + 1, ssd_chunks_);
  if (in.state.dtype != DType::kFloat32 || ssd_chunks_.chunks.empty()) {
    return ssm_recurrence({.in = in, .sequences = sequences}, stream_);
  }
  const Ssd ssd{.in = in,
                .sequences = sequences,
                .chunks = stage_.on_device(std::span<const ScanChunk>(ssd_chunks_.chunks)),
                .first_chunk = stage_.on_device(std::span<const std::int32_t>(ssd_chunks_.first_chunk)),
                .chunk_count = static_cast<int>(ssd_chunks_.chunks.size())};
  ssd_scan(ssd, static_cast<float*>(ssd_memory_.ensure(ssd_scratch(ssd) * sizeof(float))), stream_);
  if (ssd_chunks_.others) {
    ssm_recurrence({.in = in, .sequences = sequences, .few_tokens = kSsdFewTokens}, stream_);
  }
}

// The channels of a group are the rows of a head.
void CudaOperations::selective_scan(const SelectiveScanArgs& args) {
  const Sequences sequences = staged_sequences(stage_, args.batch);
  if (sequences.count == 0) return;
  const std::int32_t tokens = args.batch.query_start_loc.back();
  const std::int64_t group_width = std::int64_t{args.groups} * args.state_size;
  require(args.groups > 0 && args.channels % args.groups == 0, "groups of the scan");
  const int group_channels = args.channels / args.groups;
  const SsmInputs in{.x = const_matrix(args.x, tokens, args.channels, "x of the scan"),
                     .dt = const_matrix(args.dt, tokens, args.channels, "dt"),
                     .dt_per_row = true,
                     .b = const_matrix(args.b, tokens, group_width, "B"),
                     .c = const_matrix(args.c, tokens, group_width, "C"),
                     .a = vector_or_null(args.a, std::int64_t{args.channels} * args.state_size, "A"),
                     .a_stride_head = std::int64_t{group_channels} * args.state_size,
                     .a_stride_row = args.state_size,
                     .a_stride_state = 1,
                     .d = vector_or_null(args.d, args.channels, "D"),
                     .d_stride_head = group_channels,
                     .d_stride_row = 1,
                     .dt_bias = vector_or_null(args.dt_bias, args.channels, "dt bias"),
                     .heads = args.groups,
                     .head_dim = group_channels,
                     .groups = args.groups,
                     .state_size = args.state_size,
                     .state = selective_slots(args.state),
                     .rounding = args.state.rounding,
                     .positions = rounding_positions(stage_, args.state, args.batch.num_computed_tokens),
                     .y = matrix(args.y, tokens, args.channels, "y of the scan")};
  require(in.a != nullptr, "a scan without A");
  if (tokens == 0) return;
  ssm_recurrence({.in = in, .sequences = sequences}, stream_);
}

void CudaOperations::selective_state_update(const SelectiveStateUpdateArgs& args) {
  const auto batch = static_cast<std::int64_t>(args.state_read.size());
  const std::int64_t tokens = batch * args.tokens;
  const std::int64_t width = std::int64_t{args.heads} * args.head_dim;
  const std::int64_t group_width = std::int64_t{args.groups} * args.state_size;
  require(args.groups > 0 && args.heads % args.groups == 0 && args.a != nullptr, "groups or A of the state update");
  require(args.tokens >= 1 && static_cast<std::int64_t>(args.state_write.size()) == tokens, "state slots");
  require(args.has_initial_state.empty() || args.has_initial_state.size() == args.state_read.size(),
          "initial state flags");
  require(args.positions.empty() || args.positions.size() == args.state_read.size(), "positions");
  SsmInputs in{.x = const_matrix(args.x, tokens, width, "x of the state update"),
               .dt = const_matrix(args.dt, tokens, args.dt_per_row ? width : args.heads, "dt"),
               .dt_per_row = args.dt_per_row,
               .b = const_matrix(args.b, tokens, group_width, "B"),
               .c = const_matrix(args.c, tokens, group_width, "C"),
               .a = args.a,
               .a_stride_head = args.a_stride_head,
               .a_stride_row = args.a_stride_row,
               .a_stride_state = args.a_stride_state,
               .d = args.d,
               .d_stride_head = args.d_stride_head,
               .d_stride_row = args.d_stride_row,
               .dt_bias = args.dt_bias,
               .dt_softplus = args.dt_softplus,
               .dt_min = args.dt_min,
               .dt_max = args.dt_max,
               .heads = args.heads,
               .head_dim = args.head_dim,
               .groups = args.groups,
               .state_size = args.state_size,
               .state = selective_slots(args.state),
               .rounding = args.state.rounding,
               .positions = rounding_positions(stage_, args.state, args.positions),
               .y = matrix(args.y, tokens, width, "y of the state update")};
  if (args.z.data != nullptr) in.z = const_matrix(args.z, tokens, width, "z");
  const StateUpdate kernel{.in = in,
                           .state_read = stage_.on_device(args.state_read),
                           .state_write = stage_.on_device(args.state_write),
                           .has_initial_state = stage_.on_device(args.has_initial_state),
                           .batch = static_cast<int>(batch),
                           .tokens = args.tokens};
  if (args.library == KernelLibrary::kFlashInfer) {
    require(flashinfer_ != nullptr, "the kernel library of a state update");
    return flashinfer_->update(args, kernel);
  }
  state_update(kernel, stream_);
}

}  // namespace krait::cuda
