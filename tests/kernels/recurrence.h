#pragma once

#include <cmath>
#include <functional>
#include <memory>

#include "tests/kernels/state_support.h"

namespace krait::test {

/// Rows of one input that lie apart, as slices of a fused projection do.
struct StridedRows {
  static constexpr int kGap = 3;
  int columns = 0;
  Matrix memory;

  StridedRows(Random& random, int rows, int columns_in, float scale = 1.0F)
      : columns(columns_in), memory(random.matrix(rows, columns_in + kGap, scale)) {}
  StridedRows(int columns_in, Matrix memory_in) : columns(columns_in), memory(std::move(memory_in)) {}
  [[nodiscard]] TensorView view() const { return memory.view().slice_columns(kGap, columns); }
  [[nodiscard]] double at(int row, int column) const { return static_cast<double>(memory.at(row, kGap + column)); }
};

/// The inputs of a run of tokens: one matrix for each input of the operation.
struct Tokens {
  int count = 0;
  std::vector<StridedRows> inputs;

  [[nodiscard]] const StridedRows& operator[](int index) const { return inputs[static_cast<std::size_t>(index)]; }
  [[nodiscard]] Tokens slice(int begin, int end) const {
    Tokens part{end - begin, {}};
    for (const StridedRows& rows : inputs) part.inputs.emplace_back(rows.columns, rows.memory.slice(begin, end));
    return part;
  }
};

/// What a recurrence computes, in double precision, from a fresh state.
struct Exact {
  std::vector<double> out;
  std::vector<double> state;  ///< after the last token, as the slot holds it
};

/// How a platform packs weights.
using PackWeight = std::function<PackedWeight(const WeightSource&, const PackScheme&)>;

/// An operation that takes sequences token by token through a state, with random parameters.
class Recurrence {
 public:
  virtual ~Recurrence() = default;
  [[nodiscard]] virtual std::string label() const = 0;
  [[nodiscard]] virtual std::int64_t conv_elements() const { return 0; }
  [[nodiscard]] virtual std::int64_t recurrent_elements() const { return 0; }
  [[nodiscard]] virtual int out_columns() const = 0;
  [[nodiscard]] virtual Tokens tokens(Random& random, int count) const = 0;
  /// Packs the weights, if there are any, for another platform than the CPU.
  virtual void pack_with(const PackWeight& /*pack*/) {}
  virtual void run(Operations& ops, const Tokens& in, const SequenceBatch& batch, const StateCacheView& state,
                   const TensorView& out) const = 0;
  [[nodiscard]] virtual Exact exact(const Tokens& in, DType state_dtype) const = 0;

  [[nodiscard]] StateSlots slots(int count, DType dtype) const {
    return {count, conv_elements(), recurrent_elements(), dtype, dtype};
  }
  /// Rows that the operation leaves alone stay 77.
  [[nodiscard]] Matrix run(Operations& ops, const Tokens& in, const Sequences& sequences,
                           const StateCacheView& state) const {
    Matrix wide(in.count, out_columns() + 2, 77.0F);
    run(ops, in, sequences.batch(), state, wide.view().slice_columns(1, out_columns()));
    Matrix out(in.count, out_columns());
    for (int t = 0; t < in.count; ++t) {
      for (int c = 0; c < out_columns(); ++c) out.at(t, c) = wide.at(t, c + 1);
      // Nothing may be written beside the row.
      if (wide.at(t, 0) != 77.0F || wide.at(t, out_columns() + 1) != 77.0F) out.at(t, 0) = std::nanf("");
    }
    return out;
  }
};

inline double softplus(double x) { return x > 30.0 ? x : std::log1p(std::exp(x)); }
inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// One of each kind; every call draws other shapes and parameters.
using MakeRecurrence = std::unique_ptr<Recurrence> (*)(Random& random);
std::unique_ptr<Recurrence> make_delta_rule(Random& random);
std::unique_ptr<Recurrence> make_linear_attention(Random& random);
std::unique_ptr<Recurrence> make_selective_scan(Random& random);
std::unique_ptr<Recurrence> make_rg_lru(Random& random);
std::unique_ptr<Recurrence> make_convolution(Random& random);
std::unique_ptr<Recurrence> make_grouped_convolution(Random& random);

inline constexpr MakeRecurrence kRecurrences[] = {make_delta_rule, make_linear_attention, make_selective_scan,
                                                  make_rg_lru,     make_convolution,      make_grouped_convolution};

}  // namespace krait::test
