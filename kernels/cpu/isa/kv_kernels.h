#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/int8_rounding.h"
#include "kernels/cpu/isa/norm_kernels.h"

namespace krait::cpu {
namespace {

/// Rotates the channels of one head from `head` on by their angles: (a, b) becomes (a cos - b sin, b cos + a sin), each
/// with one fused multiply-add.
template <typename V>
void rotate_head(float* head, const RopeKernelArgs& rope, Index position) {
  const float* cos = rope.cos.data + position * rope.cos.stride;
  const float* sin = rope.sin.data + position * rope.sin.stride;
  const Index half = rope.rotary_dim / 2;
  if (rope.interleaved) {
    for (Index i = 0; i < half; ++i) {
      const float a = head[2 * i];
      const float b = head[2 * i + 1];
      head[2 * i] = __builtin_fmaf(a, cos[i], -(b * sin[i]));
      head[2 * i + 1] = __builtin_fmaf(b, cos[i], a * sin[i]);
    }
    return;
  }
  for (Index i = 0; i < half; i += kLanes) {
    const int n = lanes_left(i, half);
    const auto a = load<V>(head + i, n);
    const auto b = load<V>(head + half + i, n);
    const auto c = load<V>(cos + i, n);
    const auto s = load<V>(sin + i, n);
    store<V>(head + i, V::fma(a, c, V::neg(V::mul(b, s))), n);
    store<V>(head + half + i, V::fma(b, c, V::mul(a, s)), n);
  }
}

template <typename V>
void norm_and_rotate(float* row, Index heads, const float* norm, const WriteKvKernelArgs& args, Index position) {
  const Index dim = args.cache.head_dim;
  for (Index h = 0; h < heads; ++h) {
    float* head = row + h * dim;
    if (norm != nullptr) scale_by_weight<V>(head, inverse_rms<V>(head, dim, args.norm_eps), norm, head, dim);
    if (args.rope.rotary_dim > 0) rotate_head<V>(head + args.rope.offset, args.rope, position);
  }
}

/// As `write_heads`, each head with a scale of its own.
template <typename V>
void write_int8_heads(const KvCacheView& cache, std::byte* part, Index offset, const float* row, Index dim) {
  for (Index head = 0; head < cache.kv_heads; ++head, row += dim) {
    const Index at = head * cache.block_size + offset;
    auto* to = reinterpret_cast<std::int8_t*>(part) + at * dim;
    const Int8Rounding rounding = int8_rounding<V>(row, dim);
    const Index whole = dim - dim % kLanes;
    for (Index i = 0; i < whole; i += kLanes) V::store_bytes(to + i, round_int8<V>(row + i, kLanes, rounding));
    if (whole < dim) {
      std::int8_t last[kLanes];
      V::store_bytes(last, round_int8<V>(row + whole, lanes_left(whole, dim), rounding));
      for (Index i = whole; i < dim; ++i) to[i] = last[i - whole];
    }
    std::byte* scales = part + cache.kv_heads * cache.block_size * dim;
    __builtin_memcpy(scales + at * Index{sizeof(float)}, &rounding.scale, sizeof(float));
  }
}

/// Writes one token's heads, `dim` elements each, to slot `offset` of a page's K or V part [head][token][dim].
template <typename V>
void write_heads(const KvCacheView& cache, std::byte* part, Index offset, const float* row, Index dim) {
  if (cache.dtype == DType::kInt8) return write_int8_heads<V>(cache, part, offset, row, dim);
  with_stored<V>(cache.dtype, [&](auto stored) {
    using Element = typename decltype(stored)::Element;
    for (Index head = 0; head < cache.kv_heads; ++head) {
      Element* to = reinterpret_cast<Element*>(part) + (head * cache.block_size + offset) * dim;
      for (Index i = 0; i < dim; i += kLanes) {
        const int n = lanes_left(i, dim);
        stored.store(to + i, load<V>(row + head * dim + i, n), n);
      }
    }
  });
}

/// Writes the K and V rows of one token. `v` is null where V is a part of K.
template <typename V>
void write_token(const KvCacheView& cache, Index slot, const float* k, const float* v) {
  std::byte* page = cache.base + (slot / cache.block_size) * static_cast<Index>(cache.page_stride);
  const Index offset = slot % cache.block_size;
  write_heads<V>(cache, page, offset, k, cache.head_dim);
  if (v != nullptr) write_heads<V>(cache, page + cache.value_offset, offset, v, cache.value_dim);
}

/// A range of tokens: norm, rotation, write. A slot of -1 writes nothing (a replayed token, or padding).
template <typename V>
void write_kv(const WriteKvKernelArgs& args, Index begin, Index end) {
  for (Index t = begin; t < end; ++t) {
    float* k = args.k.data + t * args.k.stride;
    const Index position = args.positions == nullptr ? 0 : args.positions[t];
    norm_and_rotate<V>(args.q.data + t * args.q.stride, args.heads, args.q_norm, args, position);
    norm_and_rotate<V>(k, args.cache.kv_heads, args.k_norm, args, position);
    const Index slot = args.slot_mapping[t];
    if (slot < 0) continue;
    write_token<V>(args.cache, slot, k, args.v.data == nullptr ? nullptr : args.v.data + t * args.v.stride);
  }
}

}  // namespace
}  // namespace krait::cpu
