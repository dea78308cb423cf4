#include "models/weights/read_ahead.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace krait {
namespace {

/// Begins to read without waiting, and without mapping the pages (MADV_POPULATE_READ does both, and took longer than
/// the faults that it spares). A hint: where the system does not take it, the reader reads for itself.
void read_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(bytes.data() + bytes.size());
  (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

}  // namespace

ReadAhead::ReadAhead(std::vector<std::span<const std::byte>> files, const Options& options) : options_(options) {
  for (const auto& file : files) {
    for (std::size_t begin = 0; begin < file.size(); begin += options_.chunk) {
      chunks_.push_back(file.subspan(begin, std::min(options_.chunk, file.size() - begin)));
    }
  }
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  moved_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ReadAhead::advance(std::size_t bytes_done) {
  {
    const std::lock_guard lock(mutex_);
    bytes_done_ = std::max(bytes_done_, bytes_done);
  }
  moved_.notify_all();
}

std::size_t ReadAhead::bytes_read() const {
  const std::lock_guard lock(mutex_);
  return bytes_read_;
}

std::span<const std::byte> ReadAhead::next() {
  std::unique_lock lock(mutex_);
  moved_.wait(lock,
              [this] { return stop_ || next_chunk_ == chunks_.size() || bytes_read_ < bytes_done_ + options_.window; });
  if (stop_ || next_chunk_ == chunks_.size()) return {};
  const std::span<const std::byte> chunk = chunks_[next_chunk_++];
  bytes_read_ += chunk.size();
  return chunk;
}

void ReadAhead::run() {
  for (auto chunk = next(); !chunk.empty(); chunk = next()) read_pages(chunk);
}

}  // namespace krait
