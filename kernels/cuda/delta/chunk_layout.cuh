#pragma once

#include "kernels/cuda/delta/delta_chunks.h"
#include "kernels/cuda/port.cuh"

/// Prepared operands of one chunk and head: pieces of 16 KiB, in the order in which the scan needs them. A piece of a
/// matrix is 4 x 8 right operands (split_products.cuh), [4 of k][8 of n][lane], so that a lane reads 16 bytes.
namespace krait::cuda {

constexpr int kPieceWords = 1024;  ///< of uint4
constexpr std::size_t kPieceBytes = kPieceWords * sizeof(uint4);
constexpr int kTokenTiles = kChunkTokens / 8;
/// Rows of the state (elements of the value) that a block of the scan takes.
constexpr int kBlockValues = 64;

template <int kKeyTiles>  // of 16 keys
struct ChunkLayout {
  static_assert(kKeyTiles % 4 == 0);
  static constexpr int kKeyPieces = kKeyTiles / 4;
  static constexpr int kW = 0;                   ///< -W, every second piece: k over 64 keys, n over tokens
  static constexpr int kQ = 1;                   ///< q e^g, every second piece: k over 64 keys, n over tokens
  static constexpr int kP = 2 * kKeyPieces;      ///< k over tokens j, n over tokens i
  static constexpr int kK = 2 * kKeyPieces + 1;  ///< k e^(g_end - g): k over tokens, n over 64 keys
  static constexpr int kU = 3 * kKeyPieces + 1;  ///< U of 64 values a piece: [4 of 16 values][8 of 8 tokens][lane]
  static constexpr int kShared = 3 * kKeyPieces + 1;
};

/// The decays e^(g_end) of the keys take the place of P's blocks far above the diagonal, which are zero.
constexpr int kDecaysInP = 3 * kTokenTiles * 32;

inline int value_blocks(int value_dim) { return (value_dim + kBlockValues - 1) / kBlockValues; }

/// Piece `piece` of a chunk and head.
template <int kKeyTiles>
__device__ __forceinline__ uint4* chunk_piece(const DeltaRule& args, const DeltaChunks& chunks, int chunk, int head,
                                              int piece) {
  const int blocks = (args.scan.value_dim + kBlockValues - 1) / kBlockValues;
  const std::int64_t unit = std::int64_t{chunk - chunks.begin} * args.scan.heads + head;
  const std::int64_t pieces = ChunkLayout<kKeyTiles>::kShared + blocks;
  return static_cast<uint4*>(chunks.operands) + (unit * pieces + piece) * kPieceWords;
}

}  // namespace krait::cuda
