#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"
#include "kernels/cpu/kernel_table.h"

/// Operations on single rows: embedding, softmax and the like.
namespace krait::cpu {
namespace {

template <typename V>
void embedding(const EmbeddingKernelArgs& args, Index begin, Index end) {
  with_stored<V>(args.dtype, [&](auto stored) {
    using Element = typename decltype(stored)::Element;
    const auto* table = reinterpret_cast<const Element*>(args.table);
    const auto multiplier = V::set1(args.multiplier);
    for (Index t = begin; t < end; ++t) {
      const Element* from = table + args.ids[t] * args.stride;
      float* to = args.out.data + t * args.out.stride;
      for (Index i = 0; i < args.hidden; i += kLanes) {
        const int n = lanes_left(i, args.hidden);
        store<V>(to + i, V::mul(multiplier, stored.load(from + i, n)), n);
      }
    }
  });
}

/// The largest element, NaNs left aside but reported.
template <typename V>
RowStats row_stats(const float* row, Index n) {
  auto largest = V::set1(-__builtin_inff());
  bool has_nan = false;
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    if (lanes == kLanes) {
      const auto x = V::load(row + i);
      has_nan = has_nan || V::any(V::is_nan(x));
      largest = V::max(x, largest);
    } else {
      for (int lane = 0; lane < lanes; ++lane) {
        const float x = row[i + lane];
        has_nan = has_nan || x != x;
        largest = V::max(V::set1(x), largest);
      }
    }
  }
  return {V::reduce_max(largest), has_nan};
}

template <typename V>
void exp_row(const float* row, float shift, float scale, float* out, Index n) {
  const auto offset = V::set1(shift);
  const auto factor = V::set1(scale);
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    store<V>(out + i, Math<V>::exp(V::mul(V::sub(load<V>(row + i, lanes), offset), factor)), lanes);
  }
}

/// Sum over lane-wise partial sums, the last vector padded with zeros.
template <typename V>
float sum_row(const float* row, Index n) {
  auto sum = V::zero();
  for (Index i = 0; i < n; i += kLanes) sum = V::add(sum, load<V>(row + i, lanes_left(i, n)));
  return V::reduce_add(sum);
}

template <typename V>
void activate_row(RowActivation activation, float* row, Index n) {
  if (activation == RowActivation::kSoftmax) {
    exp_row<V>(row, row_stats<V>(row, n).max, 1.0F, row, n);
    const auto sum = V::set1(sum_row<V>(row, n));
    for (Index i = 0; i < n; i += kLanes) {
      const int lanes = lanes_left(i, n);
      store<V>(row + i, V::div(load<V>(row + i, lanes), sum), lanes);
    }
    return;
  }
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    store<V>(row + i, Math<V>::sigmoid(load<V>(row + i, lanes)), lanes);
  }
}

template <typename V>
void combine_rows(const float* const* rows, const float* weights, Index count, float scale, bool accumulate, float* out,
                  Index n) {
  for (Index i = 0; i < n; i += kLanes) {
    const int lanes = lanes_left(i, n);
    auto sum = V::zero();
    for (Index r = 0; r < count; ++r) sum = V::fma(V::set1(weights[r]), load<V>(rows[r] + i, lanes), sum);
    sum = V::mul(V::set1(scale), sum);
    if (accumulate) sum = V::add(load<V>(out + i, lanes), sum);
    store<V>(out + i, sum, lanes);
  }
}

}  // namespace
}  // namespace krait::cpu
