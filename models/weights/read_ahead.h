#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace krait {

/// Reads mapped files into memory ahead of somebody who works through them, on several threads, so that disks work
/// while the processor packs and several shards are read at once. Never more than a window ahead: what is read too
/// early may be dropped again before it is used.
class ReadAhead {
 public:
  struct Options {
    int threads = 2;
    std::size_t window = std::size_t{512} << 20;
    std::size_t chunk = std::size_t{8} << 20;
  };

  /// `files` are read in their order, and must stay mapped as long as this object lives.
  explicit ReadAhead(std::vector<std::span<const std::byte>> files) : ReadAhead(std::move(files), Options{}) {}
  ReadAhead(std::vector<std::span<const std::byte>> files, const Options& options);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The reader has done with so many bytes, whichever they were.
  void advance(std::size_t bytes_done);
  /// Bytes that have been asked of the system.
  [[nodiscard]] std::size_t bytes_read() const;

 private:
  void run();
  /// The next chunk, once it is inside the window; empty at the end.
  std::span<const std::byte> next();

  const Options options_;
  std::vector<std::span<const std::byte>> chunks_;
  mutable std::mutex mutex_;
  std::condition_variable moved_;
  std::size_t next_chunk_ = 0;
  std::size_t bytes_read_ = 0;
  std::size_t bytes_done_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace krait
