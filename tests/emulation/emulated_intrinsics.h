#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "tests/emulation/emulated_grid.h"
#include "tests/emulation/emulated_scalars.h"

/// CUDA's words and device functions, as far as kernels use them, over the emulated grid.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict

#define threadIdx (::krait::cuda::emulation::thread_index)
#define blockIdx (::krait::cuda::emulation::block_index)
#define blockDim (::krait::cuda::emulation::block_dim)
#define gridDim (::krait::cuda::emulation::grid_dim)
#define KRAIT_HERE ::krait::cuda::emulation::Place place = ::krait::cuda::emulation::Place::current()

inline void __syncthreads(KRAIT_HERE) { krait::cuda::emulation::block_barrier(place); }
inline void __syncwarp(std::uint32_t mask = ~0U, KRAIT_HERE) {
  krait::cuda::emulation::collective<int>(krait::cuda::emulation::Collective::kSync, mask, 0, nullptr, place);
}
inline void __threadfence() {}

namespace krait::cuda::emulation {

struct Shuffled {
  unsigned char value[16];
  int source;
};

// Reading a lane outside the mask is undefined on the device: here it gives NaN bits.
inline void shuffle_lanes(const WarpSlots& slots, std::uint32_t mask) {
  for (int i = 0; i < 32; ++i) {
    if ((mask >> i & 1U) == 0) continue;
    const int source = slots.in<Shuffled>(i).source;
    Shuffled taken{};
    if ((mask >> source & 1U) != 0) {
      taken = slots.in<Shuffled>(source);
    } else {
      std::memset(taken.value, 0xFF, sizeof(taken.value));
    }
    slots.out(i, taken);
  }
}

template <typename T>
T shuffle(std::uint32_t mask, T value, int source, const Place& place) {
  static_assert(sizeof(T) <= sizeof(Shuffled::value));
  Shuffled in{};
  std::memcpy(in.value, &value, sizeof(T));
  in.source = source;
  const auto out = collective<Shuffled>(Collective::kShuffle, mask, in, shuffle_lanes, place);
  std::memcpy(&value, out.value, sizeof(T));
  return value;
}

inline void vote(const WarpSlots& slots, std::uint32_t mask) {
  std::uint32_t votes = 0;
  for (int i = 0; i < 32; ++i) {
    if ((mask >> i & 1U) != 0 && slots.in<int>(i) != 0) votes |= 1U << i;
  }
  for (int i = 0; i < 32; ++i) {
    if ((mask >> i & 1U) != 0) slots.out(i, votes);
  }
}

}  // namespace krait::cuda::emulation

template <typename T>
T __shfl_sync(std::uint32_t mask, T value, int source, int width = 32, KRAIT_HERE) {
  const int lane = krait::cuda::emulation::lane();
  return krait::cuda::emulation::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), place);
}
template <typename T>
T __shfl_xor_sync(std::uint32_t mask, T value, int distance, int width = 32, KRAIT_HERE) {
  const int lane = krait::cuda::emulation::lane();
  const int source = lane ^ distance;
  return krait::cuda::emulation::shuffle(mask, value, source / width <= lane / width ? source : lane, place);
}
template <typename T>
T __shfl_down_sync(std::uint32_t mask, T value, unsigned distance, int width = 32, KRAIT_HERE) {
  const int lane = krait::cuda::emulation::lane();
  const int source =
      (lane & (width - 1)) + static_cast<int>(distance) < width ? lane + static_cast<int>(distance) : lane;
  return krait::cuda::emulation::shuffle(mask, value, source, place);
}
template <typename T>
T __shfl_up_sync(std::uint32_t mask, T value, unsigned distance, int width = 32, KRAIT_HERE) {
  const int lane = krait::cuda::emulation::lane();
  const int source = (lane & (width - 1)) >= static_cast<int>(distance) ? lane - static_cast<int>(distance) : lane;
  return krait::cuda::emulation::shuffle(mask, value, source, place);
}
inline std::uint32_t __ballot_sync(std::uint32_t mask, int predicate, KRAIT_HERE) {
  using krait::cuda::emulation::Collective;
  return krait::cuda::emulation::collective<std::uint32_t>(Collective::kVote, mask, predicate,
                                                           krait::cuda::emulation::vote, place);
}
inline int __any_sync(std::uint32_t mask, int predicate, KRAIT_HERE) {
  return __ballot_sync(mask, predicate, place) != 0 ? 1 : 0;
}
inline int __all_sync(std::uint32_t mask, int predicate, KRAIT_HERE) {
  return __ballot_sync(mask, predicate, place) == mask ? 1 : 0;
}

// Threads change only at collectives, so that plain code is atomic.
template <typename T>
T atomicAdd(T* to, std::type_identity_t<T> value) {
  const krait::cuda::emulation::Quiet quiet;
  const T old = *to;
  *to = old + value;
  return old;
}
template <typename T>
T atomicMax(T* to, std::type_identity_t<T> value) {
  const krait::cuda::emulation::Quiet quiet;
  const T old = *to;
  *to = std::max(old, value);
  return old;
}
template <typename T>
T atomicMin(T* to, std::type_identity_t<T> value) {
  const krait::cuda::emulation::Quiet quiet;
  const T old = *to;
  *to = std::min(old, value);
  return old;
}
template <typename T>
T atomicCAS(T* to, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  const krait::cuda::emulation::Quiet quiet;
  const T old = *to;
  if (old == expected) *to = value;
  return old;
}

template <typename T>
T __ldg(const T* from) {
  return *from;
}
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline std::uint32_t __float_as_uint(float x) { return std::bit_cast<std::uint32_t>(x); }
inline float __uint_as_float(std::uint32_t x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<std::uint64_t>(a) * b >> 32);
}
/// Byte i of the result is byte (selector >> 4 i) & 7 of b:a.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const std::uint64_t both = static_cast<std::uint64_t>(b) << 32 | a;
  unsigned bytes = 0;
  for (unsigned i = 0; i < 4; ++i) {
    bytes |= static_cast<unsigned>(both >> 8 * (selector >> 4 * i & 7U) & 0xffU) << 8 * i;
  }
  return bytes;
}
