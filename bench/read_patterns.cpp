#include "bench/read_patterns.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <new>

#include "kernels/thread_pool.h"

namespace krait::bench {
namespace {

constexpr std::size_t kBytes = std::size_t{512} << 20U;
constexpr std::int64_t kWords = kBytes / sizeof(std::uint64_t);
constexpr std::int64_t kLine = 8;  // words
constexpr int kRuns = 4;

/// Everything is used, so that no load can be left out.
volatile std::uint64_t sink;

/// `Streams` streams over equal parts of [begin, end), `Ahead` lines prefetched ahead in each.
template <int Streams, int Ahead>
void read_words(const std::uint64_t* begin, const std::uint64_t* end) {
  std::uint64_t sums[kLine] = {};
  const std::int64_t length = (end - begin) / Streams / kLine * kLine;
  for (std::int64_t i = 0; i < length; i += kLine) {
    for (int stream = 0; stream < Streams; ++stream) {
      const std::uint64_t* line = begin + stream * length + i;
      if constexpr (Ahead > 0) __builtin_prefetch(line + Ahead * kLine);
      for (std::int64_t word = 0; word < kLine; ++word) sums[word] ^= line[word];
    }
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all ^= sum;
  sink = all;
}

using Pattern = void (*)(const std::uint64_t*, const std::uint64_t*);
constexpr Pattern kPatterns[] = {read_words<1, 0>, read_words<1, 16>, read_words<1, 64>, read_words<4, 0>,
                                 read_words<4, 16>};

}  // namespace

ReadBuffer::ReadBuffer(ThreadPool& first_touch) {
  void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  ::madvise(memory, kBytes, MADV_HUGEPAGE);
  words_ = static_cast<std::uint64_t*>(memory);
  first_touch.parallel_for(kWords, [this](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) words_[i] = static_cast<std::uint64_t>(i);
  });
}

ReadBuffer::~ReadBuffer() { ::munmap(words_, kBytes); }

double ReadBuffer::best_rate(ThreadPool& pool) const {
  double best = 0.0;
  for (const Pattern pattern : kPatterns) {
    for (int run = 0; run < kRuns; ++run) {
      const auto start = std::chrono::steady_clock::now();
      pool.parallel_for(kWords,
                        [&](std::int64_t begin, std::int64_t end, int) { pattern(words_ + begin, words_ + end); });
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      best = std::max(best, static_cast<double>(kBytes) / seconds * 1e-9);
    }
  }
  return best;
}

}  // namespace krait::bench
