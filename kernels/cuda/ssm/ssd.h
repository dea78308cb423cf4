#pragma once

#include <cstddef>

#include "kernels/cuda/scan_chunks.h"
#include "kernels/cuda/ssm/ssm_inputs.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// Tokens of a chunk. A longer one would write fewer states, a shorter one multiply less; models have 256, of which it
/// is a divisor.
inline constexpr int kSsdChunk = 128;
/// Sequences of more tokens in a call take the chunked scan, others the token recurrence, so that company does not
/// choose. Up to one chunk the five launches of the former cost what the tokens of the latter do (an estimate: to be
/// measured on a device).
inline constexpr int kSsdFewTokens = 128;

/// The Mamba-2 recurrence as products of matrices over chunks of tokens (Dao and Gu, 2024, "Transformers are SSMs",
/// section 6, state space duality), with a the cumulative sum of dt A in a chunk:
///   prepare  dt, a                                                 [chunks, heads, Q]
///   scores   S = C B^T, a group at a time, the lower triangle       [chunks, groups, Q, Q]
///   states   (x dt exp(a_last - a))^T B                             [chunks, heads, head_dim, state_size]
///   passing  h = exp(a_last) h + states, chunk by chunk from the sequence's state; states = the h before the chunk;
///            where a chunk ends at a snapshot, h goes to its slot on the way
///   output   y = (S exp(a_i - a_j) dt_j, j <= i) x + exp(a_i) C h + D x
/// Decays are of differences of sums, never quotients. Products run on tensor cores with split operands
/// (split_products.cuh), so results are as near to the token recurrence's as its own order of sums.
///
/// Flops a head and token, three times over for the split: Q P + 4 N P + 2 Q N G / H (P head_dim, N state_size). Bytes
/// beside x, B, C and y: the states written, read and written, and read again: 16 P N / Q a head and token. With 128
/// heads of 64 x 128 and Q = 128 that is 131 KB a token, twice x and y: memory bounds it, with the tensor cores close.
struct Ssd {
  SsmInputs in{};  ///< one decay a head, float32 states, no z
  Sequences sequences{};
  const ScanChunk* chunks = nullptr;          ///< [chunk_count] on the device
  const std::int32_t* first_chunk = nullptr;  ///< [sequences + 1] on the device
  int chunk_count = 0;
  float* dt = nullptr;
  float* sums = nullptr;  ///< a
  float* scores = nullptr;
  float* states = nullptr;
};

/// Floats of scratch for the four arrays.
std::size_t ssd_scratch(const Ssd& args);
/// `scratch` has room for ssd_scratch(args); the four arrays are laid out in it.
void ssd_scan(Ssd args, float* scratch, Stream stream);

/// The stages, in their order.
void ssd_prepare(const Ssd& args, Stream stream);
void ssd_scores(const Ssd& args, Stream stream);
void ssd_states(const Ssd& args, Stream stream);
void ssd_pass_states(const Ssd& args, Stream stream);
void ssd_output(const Ssd& args, Stream stream);

}  // namespace krait::cuda
