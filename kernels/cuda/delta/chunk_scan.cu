#include "kernels/cuda/delta/chunk_layout.cuh"
#include "kernels/cuda/delta/delta_chunks.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/split_products.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = kBlockValues / 16;
constexpr int kThreads = kWarps * kWarp;
/// Pieces in shared memory, all but one on their way.
constexpr int kStages = 6;
constexpr std::size_t kSharedBytes = kStages * kPieceBytes;

/// The pieces of a block's chunks, one after another, through shared memory.
template <int kKeyTiles>
struct PieceRing {
  using Layout = ChunkLayout<kKeyTiles>;
  static constexpr int kPieces = Layout::kShared + 1;  ///< a chunk

  const DeltaRule& args;
  const DeltaChunks& chunks;
  uint4* stages;
  int head;
  int block;
  int first;      ///< chunk
  int pieces;     ///< in all
  int begun = 0;  ///< pieces whose copy was begun
  int taken = 0;

  __device__ __forceinline__ void begin_next() {
    if (begun < pieces) {
      const int piece = begun % kPieces;
      const uint4* from = chunk_piece<kKeyTiles>(args, chunks, first + begun / kPieces, head,
                                                 piece == 0 ? Layout::kU + block : piece - 1);
      uint4* to = stages + begun % kStages * kPieceWords;
      UNROLL for (int i = 0; i < kPieceWords / kThreads; ++i) {
        const int at = i * kThreads + static_cast<int>(threadIdx.x);
        ptx::cp_async16(to + at, from + at, true);
      }
    }
    ++begun;
    ptx::cp_async_commit();
  }
  __device__ __forceinline__ void begin() { UNROLL for (int i = 0; i < kStages - 1; ++i) begin_next(); }
  /// The next piece; the one before may not be read any more. All threads of the block must call it.
  __device__ __forceinline__ const uint4* next() {
    ptx::cp_async_wait<kStages - 2>();
    __syncthreads();
    begin_next();
    return stages + taken++ % kStages * kPieceWords;
  }
};

/// Right operands [first, first + kCount) of the lane, in one k of a piece.
template <int kCount>
__device__ __forceinline__ void load_right(const uint4* piece, int k, int first, uint4 (&right)[kCount]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  UNROLL for (int i = 0; i < kCount; ++i) right[i] = piece[(k * kTokenTiles + first + i) * kWarp + lane];
}

/// results[first..first + 8) += left * one k of a piece.
template <int kResults>
__device__ __forceinline__ void add_products(float (&results)[kResults][4], int first, const SplitLeft& left,
                                             const uint4* piece, int k) {
  UNROLL for (int half = 0; half < kTokenTiles; half += 4) {
    uint4 right[4];
    load_right(piece, k, half, right);
    split_products(results, first + half, left, right);
  }
}

/// A warp's 16 rows of the state, transposed results of products: lane 4 g + t has rows g and g + 8, columns 8 i + 2 t
/// and the next.
template <int kKeyTiles>
struct WarpState {
  float values[2 * kKeyTiles][4];

  template <typename Visit>
  __device__ __forceinline__ void each(const DeltaRule& args, int row, const Visit& visit) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    UNROLL for (int tile = 0; tile < 2 * kKeyTiles; ++tile) {
      UNROLL for (int i = 0; i < 4; ++i) {
        const int r = row + lane / 4 + i / 2 * 8;
        const int column = tile * 8 + lane % 4 * 2 + i % 2;
        const bool inside = r < args.scan.value_dim && column < args.scan.key_dim;
        visit(values[tile][i], std::int64_t{r} * args.scan.key_dim + column, inside);
      }
    }
  }
  __device__ __forceinline__ void clear() {
    UNROLL for (float(&tile)[4] : values) { UNROLL for (float& value : tile) value = 0.0F; }
  }
};

template <typename T, int kKeyTiles>
__device__ __forceinline__ void load_state(const DeltaRule& args, const std::byte* head, int row,
                                           WarpState<kKeyTiles>& state) {
  const T* from = reinterpret_cast<const T*>(head);
  state.each(args, row,
             [&](float& value, std::int64_t at, bool inside) { value = inside ? to_float(from[at]) : 0.0F; });
}
template <typename T, int kKeyTiles>
__device__ __forceinline__ void store_state(const DeltaRule& args, std::byte* head, int row,
                                            WarpState<kKeyTiles>& state) {
  T* to = reinterpret_cast<T*>(head);
  state.each(args, row, [&](float& value, std::int64_t at, bool inside) {
    if (inside) to[at] = from_float<T>(value);
  });
}

/// One chunk. Everything is transposed: rows are values, so that a result is the left operand of the next product in
/// the lanes where it lies.
template <int kKeyTiles>
__device__ __forceinline__ void run_chunk(const DeltaRule& args, PieceRing<kKeyTiles>& ring,
                                          WarpState<kKeyTiles>& state, int row, int token, int tokens) {
  constexpr int kKeyPieces = ChunkLayout<kKeyTiles>::kKeyPieces;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  float u[kTokenTiles][4];
  const auto* big_u = reinterpret_cast<const float4*>(ring.next());
  UNROLL for (int n = 0; n < kTokenTiles; ++n) {
    const float4 value = big_u[(warp * kTokenTiles + n) * kWarp + lane];
    u[n][0] = value.x;
    u[n][1] = value.y;
    u[n][2] = value.z;
    u[n][3] = value.w;
  }
  float out[kTokenTiles][4] = {};
  UNROLL for (int i = 0; i < kKeyPieces; ++i) {
    SplitLeft left[4];
    UNROLL for (int k = 0; k < 4; ++k) {
      const int tile = 2 * (4 * i + k);
      left[k] = split_left(state.values[tile], state.values[tile + 1]);
    }
    const uint4* w = ring.next();
    UNROLL for (int k = 0; k < 4; ++k) add_products(u, 0, left[k], w, k);
    const uint4* q = ring.next();
    UNROLL for (int k = 0; k < 4; ++k) add_products(out, 0, left[k], q, k);
  }

  const uint4* p = ring.next();
  UNROLL for (int k = 0; k < 4; ++k) {
    const SplitLeft left = split_left(u[2 * k], u[2 * k + 1]);
    UNROLL for (int n = 2 * k; n < kTokenTiles; n += 2) {
      uint4 right[2];
      load_right(p, k, n, right);
      split_products(out, n, left, right);
    }
  }
  const auto* decays = reinterpret_cast<const float2*>(p + kDecaysInP);
  UNROLL for (int tile = 0; tile < 2 * kKeyTiles; ++tile) {
    const float2 decay = decays[tile * 4 + lane % 4];
    state.values[tile][0] *= decay.x;
    state.values[tile][1] *= decay.y;
    state.values[tile][2] *= decay.x;
    state.values[tile][3] *= decay.y;
  }
  UNROLL for (int n = 0; n < kTokenTiles; ++n) {
    UNROLL for (int i = 0; i < 4; ++i) {
      const int r = row + lane / 4 + i / 2 * 8;
      const int t = n * 8 + lane % 4 * 2 + i % 2;
      if (t < tokens && r < args.scan.value_dim) {
        args.out.data[(token + t) * args.out.stride + std::int64_t{ring.head} * args.scan.value_dim + r] = out[n][i];
      }
    }
  }
  UNROLL for (int piece = 0; piece < kKeyPieces; ++piece) {
    const uint4* keys = ring.next();
    UNROLL for (int k = 0; k < 4; ++k) {
      add_products(state.values, 8 * piece, split_left(u[2 * k], u[2 * k + 1]), keys, k);
    }
  }
}

/// A block takes 64 values of a head through the chunks of a sequence.
template <typename T, int kKeyTiles>
__global__ void __launch_bounds__(kThreads) chunk_scan_kernel(const DeltaRule args, const DeltaChunks chunks) {
  DYNAMIC_SHARED(shared);
  const MatrixScan& scan = args.scan;
  const auto sequence = static_cast<int>(blockIdx.y);
  const int own = chunks.first_chunk[sequence];
  const int own_end = chunks.first_chunk[sequence + 1];
  const int first = own < chunks.begin ? chunks.begin : own;
  const int last = own_end < chunks.end ? own_end : chunks.end;
  if (first >= last) return;
  const int blocks = (scan.value_dim + kBlockValues - 1) / kBlockValues;
  const int head = static_cast<int>(blockIdx.x) / blocks;
  const int block = static_cast<int>(blockIdx.x) % blocks;
  const int row = block * kBlockValues + static_cast<int>(threadIdx.x) / kWarp * 16;

  PieceRing<kKeyTiles> ring{.args = args,
                            .chunks = chunks,
                            .stages = reinterpret_cast<uint4*>(shared),
                            .head = head,
                            .block = block,
                            .first = first,
                            .pieces = (last - first) * PieceRing<kKeyTiles>::kPieces};
  ring.begin();
  const auto stride = static_cast<std::int64_t>(scan.state.stride);
  const std::int64_t offset = std::int64_t{head} * scan.value_dim * scan.key_dim * static_cast<int>(sizeof(T));
  std::byte* write = scan.state.data + scan.sequences.state_write[sequence] * stride + offset;
  WarpState<kKeyTiles> state;
  if (first > own) {
    load_state<T>(args, write, row, state);  // the call before left it there
  } else if (scan.sequences.has_initial_state[sequence] != 0) {
    load_state<T>(args, scan.state.data + scan.sequences.state_read[sequence] * stride + offset, row, state);
  } else {
    state.clear();
  }
  for (int index = first; index < last; ++index) {
    run_chunk(args, ring, state, row, chunks.chunks[index].token, chunks.chunks[index].tokens);
    const int snapshot = chunks.chunks[index].snapshot;  // not before: the chunk needs all registers
    if (snapshot != 0) store_state<T>(args, scan.state.data + snapshot * stride + offset, row, state);
  }
  store_state<T>(args, write, row, state);
}

template <typename T>
void launch_scan(const DeltaRule& args, const DeltaChunks& chunks, Stream stream) {
  const Launch how{.grid = {static_cast<unsigned>(args.scan.heads * value_blocks(args.scan.value_dim)),
                            static_cast<unsigned>(args.scan.sequences.count)},
                   .block = {kThreads},
                   .shared_bytes = kSharedBytes,
                   .stream = stream};
  if (args.scan.key_dim <= 64) {
    launch(chunk_scan_kernel<T, 4>, how, args, chunks);
  } else {
    launch(chunk_scan_kernel<T, 8>, how, args, chunks);
  }
}

void scan_chunks(const DeltaRule& args, const DeltaChunks& chunks, Stream stream) {
  if (args.scan.state.dtype == DType::kFloat32) {
    launch_scan<float>(args, chunks, stream);
  } else if (args.scan.state.dtype == DType::kBFloat16) {
    launch_scan<bfloat16>(args, chunks, stream);
  } else {
    launch_scan<float16>(args, chunks, stream);
  }
}

}  // namespace

std::size_t delta_chunk_bytes(int key_dim, int value_dim) {
  const int shared = key_dim <= 64 ? ChunkLayout<4>::kShared : ChunkLayout<8>::kShared;
  return static_cast<std::size_t>(shared + value_blocks(value_dim)) * kPieceBytes;
}

void delta_rule_chunks(const DeltaRule& args, const DeltaChunks& chunks, Stream stream) {
  DeltaChunks turn = chunks;
  while (turn.begin < chunks.end) {
    turn.end = chunks.end - turn.begin < chunks.at_once ? chunks.end : turn.begin + chunks.at_once;
    prepare_delta_chunks(args, turn, stream);
    scan_chunks(args, turn, stream);
    turn.begin = turn.end;
  }
}

}  // namespace krait::cuda
