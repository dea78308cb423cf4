#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "engine/cache/context_image.h"
#include "engine/cache/disk/entry_catalog.h"
#include "engine/cache/disk/entry_file.h"

namespace krait {

struct DiskTierConfig {
  std::string folder;                                  ///< `--cache-dir`; entries lie in a folder of their model below
  std::uint64_t max_bytes = std::uint64_t{16} << 30U;  ///< `--cache-dir-size`, of the files
  std::size_t max_queued_bytes = std::size_t{256} << 20U;  ///< copies that wait to be written
  std::function<void(const std::string&)> warn;            ///< called on the tier's thread; may be empty
};

struct DiskTierStats {
  std::uint64_t bytes = 0;  ///< of files
  std::int64_t entries = 0;
  std::int64_t written = 0;
  std::int64_t read = 0;
  std::int64_t skipped = 0;  ///< not written: the queue was full, or the disk
  std::int64_t evicted = 0;
  std::int64_t damaged = 0;  ///< files that were deleted because they were not what they should be
};

/// Prefixes in files: the tier below memory. An entry is the pages of some blocks and the state after them, written to
/// one file that is never changed; its parent has the blocks before. One thread does all work with files; the callers
/// never wait for it.
///
/// Several processes may use one folder: files appear whole (renamed) and are checked whenever they are read; one that
/// has gone is a miss.
class DiskTier {
 public:
  /// Creates the folder and begins to look through it. Throws StartupError when it cannot be written.
  DiskTier(DiskTierConfig config, ContextIdentity identity);
  /// Writes what is queued.
  ~DiskTier();
  DiskTier(const DiskTier&) = delete;
  DiskTier& operator=(const DiskTier&) = delete;

  [[nodiscard]] const ContextIdentity& identity() const { return identity_; }

  /// The entry that holds the longest prefix, by `keys` (see prefix_keys).
  struct Place {
    int blocks = 0;  ///< 0: none
    EntryKey key;
  };
  /// Among entries that are written or queued.
  [[nodiscard]] Place longest_known(std::span<const EntryKey> keys) const;
  /// Among entries that are written; counts as a use.
  [[nodiscard]] Place longest_stored(std::span<const EntryKey> keys);
  /// Bytes of the files that `load` would read.
  [[nodiscard]] std::uint64_t load_bytes(const EntryKey& key, int from_block) const;

  /// Whether the queue has room for so many bytes; counts a skipped entry if not.
  [[nodiscard]] bool has_room(std::size_t bytes);
  /// Queues an entry that begins where `parent` ends.
  void write(const EntryKey& key, const EntryKey& parent, ContextImage image);

  using Loaded = std::function<void(std::vector<ContextImage>)>;
  /// Reads the entry and those before it that hold blocks from `from_block` on, and calls `done` with them, first
  /// blocks first, on the tier's thread: without those from a missing or damaged one on.
  void load(const EntryKey& key, int from_block, Loaded done);

  /// Waits until everything asked for so far is done.
  void flush();
  [[nodiscard]] DiskTierStats stats() const;

 private:
  struct Scan {};
  struct Write {
    EntryKey key;
    EntryKey parent;
    ContextImage image;
  };
  struct Load {
    EntryKey key;
    int from_block = 0;
    Loaded done;
  };
  using Job = std::variant<Scan, Write, Load>;

  void post(Job job);
  /// Entries from the first that `from_block` needs to `key`; the caller holds the lock.
  [[nodiscard]] std::vector<EntryKey> chain_of(const EntryKey& key, int from_block) const;

  // From here on, the tier's thread only.
  void run();
  void execute(const Scan& scan);
  void execute(Write& write);
  void execute(Load& load);
  Status store(const Write& write);
  [[nodiscard]] bool make_room(std::uint64_t bytes);
  /// Forgets the entry and all that need it, and deletes their files.
  void remove(const EntryKey& key);
  void report_damage(const Error& error);
  void delete_file(const EntryKey& key) const;

  const DiskTierConfig config_;
  const ContextIdentity identity_;
  const std::string folder_;
  bool write_failed_ = false;  ///< and was reported

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Job> jobs_;
  bool busy_ = false;
  bool stop_ = false;
  std::size_t queued_bytes_ = 0;
  EntryCatalog catalog_;
  DiskTierStats stats_;
  std::thread thread_;
};

}  // namespace krait
