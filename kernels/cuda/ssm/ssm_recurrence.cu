#include "kernels/cuda/ssm/ssm_recurrence.h"

#include "kernels/cuda/ssm/ssm_inputs.cuh"
#include "kernels/cuda/ssm/state_rounding.cuh"
#include "kernels/cuda/ssm/state_rows.cuh"
#include "kernels/cuda/ssm/state_sizes.h"
#include "kernels/cuda/stored.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
/// Tokens that are staged together.
constexpr int kTokens = 16;
constexpr float kLog2E = 1.44269504088896341F;

/// What a block stages of kTokens tokens.
template <int N, int kRows, bool kOneDecay>
struct alignas(16) Staged {
  float b[kTokens][N];
  float c[kTokens][N];
  float x[kTokens][kRows];
  float y[kTokens][kRows];
  float dt[kTokens][kOneDecay ? 1 : kRows];
  float decay[kTokens];  ///< with kOneDecay
};

/// The rows of a block: `rows` of them from `first` on, of one head.
struct BlockRows {
  int head = 0;
  int first = 0;
  int rows = 0;
};

__device__ __forceinline__ bool left_out(const SsmRecurrence& args, int tokens) {
  return args.few_tokens > 0 && tokens > args.few_tokens;
}

template <int N, int kRows, bool kOneDecay>
__device__ __forceinline__ void stage(const SsmInputs& in, const BlockRows& block, std::int64_t token, int tokens,
                                      Staged<N, kRows, kOneDecay>& staged) {
  const auto thread = static_cast<int>(threadIdx.x);
  const int group = block.head / (in.heads / in.groups);
  for (int i = thread; i < tokens * N; i += kThreads) {
    const int t = i / N;
    staged.b[t][i % N] = in.b.data[(token + t) * in.b.stride + group * N + i % N];
    staged.c[t][i % N] = in.c.data[(token + t) * in.c.stride + group * N + i % N];
  }
  const int row = block.head * in.head_dim + block.first;
  for (int i = thread; i < tokens * kRows; i += kThreads) {
    const int t = i / kRows;
    const int r = i % kRows;
    const bool there = r < block.rows;
    staged.x[t][r] = there ? in.x.data[(token + t) * in.x.stride + row + r] : 0.0F;
    if constexpr (!kOneDecay) staged.dt[t][r] = there ? discrete_dt(in, token + t, row + r) : 0.0F;
  }
  if constexpr (kOneDecay) {
    if (thread < tokens) {
      const float dt = discrete_dt(in, token + thread, block.head);
      staged.dt[thread][0] = dt;
      staged.decay[thread] = expf(dt * in.a[block.head * in.a_stride_head]);
    }
  }
}

/// A block: a sequence (y), some rows of a head (x). kOneDecay: one a head and token, else one an element.
template <typename State, int N, bool kOneDecay>
__global__ void __launch_bounds__(kThreads) recurrence_kernel(const SsmRecurrence args) {
  using Layout = StateRows<State, N>;
  constexpr int kBlockRows = kWarps * Layout::kWarpRows;
  constexpr int kElements = Layout::kLaneElements;
  using Memory = Staged<N, kBlockRows, kOneDecay>;
  SHARED_ARRAY(Memory, memory, 1);
  Memory& staged = memory[0];
  const SsmInputs& in = args.in;
  const auto sequence = static_cast<int>(blockIdx.y);
  const int begin = args.sequences.query_start_loc[sequence];
  const int end = args.sequences.query_start_loc[sequence + 1];
  const int write = args.sequences.state_write[sequence];
  if (begin == end || write == 0 || left_out(args, end - begin)) return;
  const int blocks = (in.head_dim + kBlockRows - 1) / kBlockRows;
  BlockRows block;
  block.head = static_cast<int>(blockIdx.x) / blocks;
  block.first = static_cast<int>(blockIdx.x) % blocks * kBlockRows;
  block.rows = in.head_dim - block.first < kBlockRows ? in.head_dim - block.first : kBlockRows;
  const auto thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int warp_row = thread / kWarp * Layout::kWarpRows;
  const State* from = head_state<State>(in, args.sequences.state_read[sequence], block.head);
  const bool fresh = args.sequences.has_initial_state[sequence] == 0;

  float state[Layout::kRows][kElements];
  float a[kOneDecay ? 1 : Layout::kRows][kElements];  // of the element, for 2^x
  UNROLL for (int r = 0; r < Layout::kRows; ++r) {
    const int row = warp_row + Layout::row(lane, r);
    const std::int64_t p = block.first + row;
    UNROLL for (int i = 0; i < kElements; ++i) state[r][i] = 0.0F;
    if (row < block.rows && !fresh) Layout::load(from + p * N, lane, state[r]);
    if constexpr (!kOneDecay) {
      UNROLL for (int i = 0; i < kElements; ++i) a[r][i] = 0.0F;
      if (row < block.rows) {
        Layout::load_floats(in.a + block.head * in.a_stride_head + p * in.a_stride_row, lane, a[r]);
      }
      UNROLL for (int i = 0; i < kElements; ++i) a[r][i] *= kLog2E;
    }
  }
  // The row whose sum this lane gets.
  const int own = warp_row + Layout::row(lane, Layout::summed(lane));
  const bool writes = Layout::writes(lane);
  float skip = 0.0F;
  if (in.d != nullptr && own < block.rows) {
    skip = in.d[block.head * in.d_stride_head + (block.first + own) * in.d_stride_row];
  }
  const int position = first_position(in, sequence);
  NextSnapshot snapshots(args.sequences, sequence);
  const auto store = [&](int slot) {
    State* to = head_state<State>(in, slot, block.head);
    UNROLL for (int r = 0; r < Layout::kRows; ++r) {
      const int row = warp_row + Layout::row(lane, r);
      if (row < block.rows) Layout::store(to + static_cast<std::int64_t>(block.first + row) * N, lane, state[r]);
    }
  };
  for (int token = begin; token < end; token += kTokens) {
    const int tokens = end - token < kTokens ? end - token : kTokens;
    stage(in, block, token, tokens, staged);
    __syncthreads();
    for (int t = 0; t < tokens; ++t) {
      float b[kElements];
      float c[kElements];
      Layout::load_floats(staged.b[t], lane, b);
      Layout::load_floats(staged.c[t], lane, c);
      float sums[Layout::kRows];
      UNROLL for (int r = 0; r < Layout::kRows; ++r) {
        const int row = warp_row + Layout::row(lane, r);
        const float dt = staged.dt[t][kOneDecay ? 0 : row];
        const float dtx = dt * staged.x[t][row];
        sums[r] = 0.0F;
        UNROLL for (int i = 0; i < kElements; ++i) {
          const float decay = kOneDecay ? staged.decay[t] : ptx::exp2_fast(dt * a[kOneDecay ? 0 : r][i]);
          state[r][i] = state[r][i] * decay + dtx * b[i];
          sums[r] += state[r][i] * c[i];
        }
        round_state<State, N>(in, position + token - begin + t, block.head * in.head_dim + block.first + row, lane,
                              state[r]);
      }
      const float sum = Layout::sum(sums, lane);
      if (writes) staged.y[t][own] = sum + skip * staged.x[t][own];
      if (const int slot = snapshots.slot(token - begin + t + 1)) store(slot);
    }
    __syncthreads();
    // The next tokens may be staged meanwhile: no one reads y there.
    for (int i = thread; i < tokens * kBlockRows; i += kThreads) {
      const int t = i / kBlockRows;
      const int r = i % kBlockRows;
      if (r >= block.rows) continue;
      in.y.data[(token + t) * in.y.stride + block.head * in.head_dim + block.first + r] = staged.y[t][r];
    }
  }
  store(write);
}

/// Any state size and strides: a warp a row, whose state lies where it is left.
__global__ void __launch_bounds__(kThreads) recurrence_any_kernel(const SsmRecurrence args) {
  const SsmInputs& in = args.in;
  const auto sequence = static_cast<int>(blockIdx.y);
  const int begin = args.sequences.query_start_loc[sequence];
  const int end = args.sequences.query_start_loc[sequence + 1];
  const int write = args.sequences.state_write[sequence];
  const int row = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (write == 0 || row >= in.heads * in.head_dim || left_out(args, end - begin)) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int head = row / in.head_dim;
  const int p = row % in.head_dim;
  const bool fresh = args.sequences.has_initial_state[sequence] == 0;
  const std::byte* from = state_slot(in.state, args.sequences.state_read[sequence]);
  std::byte* to = state_slot(in.state, write);
  const int group = head / (in.heads / in.groups);
  const float* a = in.a + head * in.a_stride_head + p * in.a_stride_row;
  const int position = first_position(in, sequence);
  NextSnapshot snapshots(args.sequences, sequence);
  for (int token = begin; token < end; ++token) {
    const float* b = in.b.data + token * in.b.stride + group * in.state_size;
    const float* c = in.c.data + token * in.c.stride + group * in.state_size;
    const float x = in.x.data[token * in.x.stride + row];
    const float dt = discrete_dt(in, token, in.dt_per_row ? row : head);
    const std::byte* last = token == begin ? from : to;
    const bool zero = token == begin && fresh;
    const int snapshot = snapshots.slot(token - begin + 1);
    float sum = 0.0F;
    for (int n = lane; n < in.state_size; n += kWarp) {
      const std::int64_t at = static_cast<std::int64_t>(row) * in.state_size + n;
      const float before = zero ? 0.0F : load_stored(last, in.state.dtype, at);
      const float state = before * expf(dt * a[n * in.a_stride_state]) + dt * x * b[n];
      sum += state * c[n];
      const float rounded = round_element(in, position + token - begin, row, n, state);
      store_stored(to, in.state.dtype, at, rounded);
      if (snapshot != 0) store_stored(state_slot(in.state, snapshot), in.state.dtype, at, rounded);
    }
    sum = warp_sum(sum);
    if (lane == 0) in.y.data[token * in.y.stride + row] = finish_row(in, token, head, p, x, sum);
  }
}

template <typename State, int N, bool kOneDecay>
void launch_recurrence(const SsmRecurrence& args, Stream stream) {
  constexpr int kBlockRows = kWarps * StateRows<State, N>::kWarpRows;
  launch(recurrence_kernel<State, N, kOneDecay>,
         {.grid = {static_cast<unsigned>(args.in.heads) * blocks_for(args.in.head_dim, kBlockRows),
                   static_cast<unsigned>(args.sequences.count)},
          .block = {kThreads},
          .stream = stream},
         args);
}

/// False where there is no such kernel.
template <typename State>
bool recurrence_rows(const SsmRecurrence& args, Stream stream) {
  const SsmInputs& in = args.in;
  if (element_decay(in) && in.state_size == 16 && aligned16(in.a, in.a_stride_row) && in.a_stride_head % 4 == 0) {
    launch_recurrence<State, 16, false>(args, stream);
    return true;
  }
  if (!one_decay(in)) return false;
  return with_state_size(in.state_size,
                         [&](auto size) { launch_recurrence<State, decltype(size)::kSize, true>(args, stream); });
}

bool recurrence_rows(const SsmRecurrence& args, Stream stream) {
  switch (args.in.state.dtype) {
    case DType::kBFloat16:
      return recurrence_rows<bfloat16>(args, stream);
    case DType::kFloat16:
      return recurrence_rows<float16>(args, stream);
    default:
      return recurrence_rows<float>(args, stream);
  }
}

}  // namespace

void ssm_recurrence(const SsmRecurrence& args, Stream stream) {
  if (args.sequences.count == 0 || recurrence_rows(args, stream)) return;
  launch(recurrence_any_kernel,
         {.grid = {blocks_for(std::int64_t{args.in.heads} * args.in.head_dim, kWarps),
                   static_cast<unsigned>(args.sequences.count)},
          .block = {kThreads},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
