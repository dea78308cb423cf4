#include "kernels/cuda/ssm/state_update.h"

#include "kernels/cuda/ssm/ssm_inputs.cuh"
#include "kernels/cuda/ssm/state_rounding.cuh"
#include "kernels/cuda/ssm/state_rows.cuh"
#include "kernels/cuda/ssm/state_sizes.h"
#include "kernels/cuda/stored.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;

__device__ __forceinline__ bool starts_fresh(const StateUpdate& args, int sequence) {
  return args.has_initial_state != nullptr && args.has_initial_state[sequence] == 0;
}

/// Rows [first, end) of a head.
struct HeadRows {
  int head = 0;
  int first = 0;
  int end = 0;
};

/// One token of a sequence: its row of the inputs, where it is in its sequence, and the head's state before it (null:
/// zeros) and after it.
template <typename State>
struct UpdateToken {
  int row = 0;
  int position = 0;
  const State* from = nullptr;
  State* to = nullptr;
};

/// A block's rows through one token. A lane reads what it writes, and no other does.
template <typename State, int N, bool kOneDecay>
__device__ __forceinline__ void update_rows_of_head(const SsmInputs& in, const HeadRows& block,
                                                    const UpdateToken<State>& at) {
  using Layout = StateRows<State, N>;
  const int head = block.head;
  const int end = block.end;
  const int token = at.row;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int group = head / (in.heads / in.groups);
  float b[Layout::kLaneElements];
  float c[Layout::kLaneElements];
  Layout::load_floats(in.b.data + token * in.b.stride + group * N, lane, b);
  Layout::load_floats(in.c.data + token * in.c.stride + group * N, lane, c);
  float dt = 0.0F;
  float decay = 0.0F;
  if constexpr (kOneDecay) {
    dt = discrete_dt(in, token, head);
    decay = expf(dt * in.a[head * in.a_stride_head]);
  }
  const float* x = in.x.data + token * in.x.stride + head * in.head_dim;
  float* y = in.y.data + token * in.y.stride + head * in.head_dim;
  for (int rows = block.first + warp * Layout::kWarpRows; rows < end; rows += kWarps * Layout::kWarpRows) {
    float state[Layout::kRows][Layout::kLaneElements];
    float input[Layout::kRows];
    UNROLL for (int r = 0; r < Layout::kRows; ++r) {
      const int p = rows + Layout::row(lane, r);
      UNROLL for (int i = 0; i < Layout::kLaneElements; ++i) state[r][i] = 0.0F;
      if (p < end && at.from != nullptr) Layout::load(at.from + static_cast<std::int64_t>(p) * N, lane, state[r]);
      input[r] = p < end ? x[p] : 0.0F;
    }
    float sums[Layout::kRows];
    UNROLL for (int r = 0; r < Layout::kRows; ++r) {
      const int p = rows + Layout::row(lane, r);
      sums[r] = 0.0F;
      if constexpr (kOneDecay) {
        const float dtx = dt * input[r];
        UNROLL for (int i = 0; i < Layout::kLaneElements; ++i) state[r][i] = state[r][i] * decay + dtx * b[i];
      } else {
        float a[Layout::kLaneElements] = {};
        float step = 0.0F;
        if (p < end) {
          step = discrete_dt(in, token, head * in.head_dim + p);
          Layout::load_floats(in.a + head * in.a_stride_head + p * in.a_stride_row, lane, a);
        }
        UNROLL for (int i = 0; i < Layout::kLaneElements; ++i) {
          state[r][i] = state[r][i] * expf(step * a[i]) + step * input[r] * b[i];
        }
      }
      UNROLL for (int i = 0; i < Layout::kLaneElements; ++i) sums[r] += state[r][i] * c[i];
      if (p < end) {
        round_state<State, N>(in, at.position, head * in.head_dim + p, lane, state[r]);
        Layout::store(at.to + static_cast<std::int64_t>(p) * N, lane, state[r]);
      }
    }
    const float sum = Layout::sum(sums, lane);
    const int p = rows + Layout::row(lane, Layout::summed(lane));
    if (Layout::writes(lane) && p < end) y[p] = finish_row(in, token, head, p, x[p], sum);
  }
}

/// A block: a sequence (y), `block_rows` rows of a head (x). kOneDecay: one a head, else one an element.
template <typename State, int N, bool kOneDecay>
__global__ void __launch_bounds__(kThreads) update_kernel(const StateUpdate args, const int block_rows) {
  const SsmInputs& in = args.in;
  const auto sequence = static_cast<int>(blockIdx.y);
  const int blocks = (in.head_dim + block_rows - 1) / block_rows;
  HeadRows block;
  block.head = static_cast<int>(blockIdx.x) / blocks;
  block.first = static_cast<int>(blockIdx.x) % blocks * block_rows;
  block.end = block.first + block_rows < in.head_dim ? block.first + block_rows : in.head_dim;
  UpdateToken<State> at;
  at.position = first_position(in, sequence);
  if (!starts_fresh(args, sequence)) at.from = head_state<State>(in, args.state_read[sequence], block.head);
  for (int t = 0; t < args.tokens; ++t, ++at.position) {
    at.row = sequence * args.tokens + t;
    const int write = args.state_write[at.row];
    if (write == 0) return;
    at.to = head_state<State>(in, write, block.head);
    update_rows_of_head<State, N, kOneDecay>(in, block, at);
    at.from = at.to;
  }
}

/// Any state size and strides: a warp a row.
__global__ void __launch_bounds__(kThreads) update_any_kernel(const StateUpdate args) {
  const SsmInputs& in = args.in;
  const auto sequence = static_cast<int>(blockIdx.y);
  const int row = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (row >= in.heads * in.head_dim) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int head = row / in.head_dim;
  const int p = row % in.head_dim;
  const int group = head / (in.heads / in.groups);
  const float* a = in.a + head * in.a_stride_head + p * in.a_stride_row;
  bool fresh = starts_fresh(args, sequence);
  const std::byte* from = state_slot(in.state, args.state_read[sequence]);
  for (int t = 0; t < args.tokens; ++t) {
    const int token = sequence * args.tokens + t;
    const int write = args.state_write[token];
    if (write == 0) return;
    std::byte* to = state_slot(in.state, write);
    const float* b = in.b.data + token * in.b.stride + group * in.state_size;
    const float* c = in.c.data + token * in.c.stride + group * in.state_size;
    const float x = in.x.data[token * in.x.stride + row];
    const float dt = discrete_dt(in, token, in.dt_per_row ? row : head);
    const int position = first_position(in, sequence) + t;
    float sum = 0.0F;
    for (int n = lane; n < in.state_size; n += kWarp) {
      const std::int64_t at = static_cast<std::int64_t>(row) * in.state_size + n;
      const float before = fresh ? 0.0F : load_stored(from, in.state.dtype, at);
      const float state = before * expf(dt * a[n * in.a_stride_state]) + dt * x * b[n];
      sum += state * c[n];
      store_stored(to, in.state.dtype, at, round_element(in, position, row, n, state));
    }
    sum = warp_sum(sum);
    if (lane == 0) in.y.data[token * in.y.stride + row] = finish_row(in, token, head, p, x, sum);
    from = to;
    fresh = false;
  }
}

template <typename State, int N, bool kOneDecay>
void launch_update(const StateUpdate& args, Stream stream) {
  constexpr int kOnce = kWarps * StateRows<State, N>::kWarpRows;
  // Several rows a warp reuse B and C, as long as there are blocks enough without them: some thousands fill the device.
  constexpr std::int64_t kManyBlocks = 4096;
  const SsmInputs& in = args.in;
  const std::int64_t heads = std::int64_t{args.batch} * in.heads;
  int rows = kOnce;
  while (rows < in.head_dim && rows < 4 * kOnce && heads * blocks_for(in.head_dim, 2 * rows) >= kManyBlocks) rows *= 2;
  launch(update_kernel<State, N, kOneDecay>,
         {.grid = {static_cast<unsigned>(in.heads) * blocks_for(in.head_dim, rows), static_cast<unsigned>(args.batch)},
          .block = {kThreads},
          .stream = stream},
         args, rows);
}

/// False where there is no such kernel.
template <typename State>
bool update_rows(const StateUpdate& args, Stream stream) {
  const SsmInputs& in = args.in;
  if (!aligned16(in.b.data, in.b.stride) || !aligned16(in.c.data, in.c.stride)) return false;
  if (element_decay(in) && in.state_size == 16 && aligned16(in.a, in.a_stride_row) && in.a_stride_head % 4 == 0) {
    launch_update<State, 16, false>(args, stream);
    return true;
  }
  if (!one_decay(in)) return false;
  return with_state_size(in.state_size,
                         [&](auto size) { launch_update<State, decltype(size)::kSize, true>(args, stream); });
}

bool update_rows(const StateUpdate& args, Stream stream) {
  switch (args.in.state.dtype) {
    case DType::kBFloat16:
      return update_rows<bfloat16>(args, stream);
    case DType::kFloat16:
      return update_rows<float16>(args, stream);
    default:
      return update_rows<float>(args, stream);
  }
}

}  // namespace

void state_update(const StateUpdate& args, Stream stream) {
  if (args.batch == 0 || update_rows(args, stream)) return;
  launch(
      update_any_kernel,
      {.grid = {blocks_for(std::int64_t{args.in.heads} * args.in.head_dim, kWarps), static_cast<unsigned>(args.batch)},
       .block = {kThreads},
       .stream = stream},
      args);
}

}  // namespace krait::cuda
