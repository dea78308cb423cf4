#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"
#include "kernels/cpu/scan_kernel_args.h"

/// Recurrences whose state is a matrix a head. A row belongs to one element of the value and does not depend on the
/// other rows, so a few rows go through a chunk of tokens together, resting in float32 in the worker's scratch, and
/// share what is read of keys and queries. Sums run along a row: one vector accumulator in the order of the columns,
/// then one tree.
namespace krait::cpu {
namespace {

/// Rows that go through the tokens together.
inline constexpr int kMatrixRows = 4;

template <int kCount>
struct RowCount {
  static constexpr int kRows = kCount;
};

/// One scalar decay a token for the whole head.
template <typename V>
struct TokenDecay {
  const float* decay;
  typename V::F operator()(Index token, Index) const { return V::set1(decay[token]); }
};

/// A decay for each token and column.
template <typename V>
struct ColumnDecay {
  const float* decay;
  Index width;
  typename V::F operator()(Index token, Index column) const { return V::load(decay + token * width + column); }
};

/// kRows neighbouring rows of one head through `tokens` tokens. `from` may be `to`.
template <typename V, typename StateType, int kRows, typename Rule>
void run_matrix_rows(const Rule& rule, Index columns, const typename StateType::Element* from,
                     typename StateType::Element* to, bool fresh, Index head, Index row, Index token, Index tokens) {
  for (Index r = 0; r < kRows; ++r) {
    for (Index i = 0; i < columns; i += kLanes) {
      const auto value = fresh ? V::zero() : StateType::load(from + r * columns + i, lanes_left(i, columns));
      V::store(rule.rows + r * rule.width + i, value);
    }
  }
  for (Index t = 0; t < tokens; ++t) rule.template step<StateType, kRows>(head, row, token + t, t);
  for (Index r = 0; r < kRows; ++r) {
    for (Index i = 0; i < columns; i += kLanes) {
      StateType::store(to + r * columns + i, V::load(rule.rows + r * rule.width + i), lanes_left(i, columns));
    }
  }
}

/// Runs one unit. A Rule has
///   rows, width: room for kMatrixRows rows of the state, each padded to whole vectors
///   prepare(head, token, tokens): what all rows need of a chunk of up to kMatrixChunkTokens tokens
///   step<StateType, kRows>(head, row, token, t): token `token`, number `t` of the chunk, for the rows in `rows`
template <typename V, typename StateType, typename Rule>
void scan_matrix(const MatrixScanKernelArgs& scan, Index unit, const Rule& rule) {
  using Element = typename StateType::Element;
  const Index blocks = (scan.value_dim + scan.row_block - 1) / scan.row_block;
  const Index first = unit % blocks * scan.row_block;
  const Index last = smaller(first + scan.row_block, scan.value_dim);
  const Index head = unit / blocks % scan.heads;
  const Index sequence = unit / blocks / scan.heads;
  const SequencesKernelArgs& sequences = scan.sequences;
  const Index end = sequences.query_start_loc[sequence + 1];
  const Index write = sequences.state_write[sequence];
  if (write == 0) return;
  const auto slot = [&](Index index) {
    std::byte* bytes = scan.state.recurrent + index * static_cast<Index>(scan.state.slot_stride);
    return reinterpret_cast<Element*>(bytes) + head * scan.value_dim * scan.key_dim;
  };
  bool fresh = sequences.has_initial_state != nullptr && sequences.has_initial_state[sequence] == 0;
  const Element* from = slot(sequences.state_read[sequence]);
  Element* to = slot(write);
  for (Index token = sequences.query_start_loc[sequence]; token < end; token += kMatrixChunkTokens) {
    const Index tokens = smaller(kMatrixChunkTokens, end - token);
    rule.prepare(head, token, tokens);
    Index row = first;
    const auto run = [&](auto count) {
      constexpr int kRows = decltype(count)::kRows;
      for (; row + kRows <= last; row += kRows) {
        const Index at = row * scan.key_dim;
        run_matrix_rows<V, StateType, kRows>(rule, scan.key_dim, from + at, to + at, fresh, head, row, token, tokens);
      }
    };
    run(RowCount<kMatrixRows>{});
    run(RowCount<1>{});
    from = to;
    fresh = false;
  }
}

}  // namespace
}  // namespace krait::cpu
