#include "engine/cache/disk/disk_tier.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <optional>
#include <utility>

namespace krait {

namespace fs = std::filesystem;

namespace {

std::string folder_of(const std::string& base, const ContextIdentity& identity) {
  return (fs::path(base) / EntryKey{.high = identity.model, .low = identity.layout_hash()}.to_string()).string();
}

/// Throws StartupError unless files can be made in it.
void prepare_folder(const std::string& folder) {
  const auto fail = [&](const std::string& what) {
    throw StartupError({.code = ErrorCode::kInvalidArgument,
                        .message = "--cache-dir: " + folder + " cannot be used: " + what,
                        .field = "cache-dir"});
  };
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(error.message());
  fs::permissions(folder, fs::perms::owner_all, error);
  if (error) fail(error.message());
  const std::string probe = (fs::path(folder) / ("probe." + std::to_string(::getpid()) + ".tmp")).string();
  std::FILE* file = std::fopen(probe.c_str(), "wb");
  if (file == nullptr) fail("no file can be created in it: " + std::string(std::strerror(errno)));
  std::fclose(file);
  fs::remove(probe, error);
}

/// A sound entry, by its header.
struct Found {
  EntryHeader header;
  fs::file_time_type used;
};

}  // namespace

DiskTier::DiskTier(DiskTierConfig config, ContextIdentity identity)
    : config_(std::move(config)), identity_(std::move(identity)), folder_(folder_of(config_.folder, identity_)) {
  prepare_folder(folder_);
  jobs_.emplace_back(Scan{});
  thread_ = std::thread([this] { run(); });
}

DiskTier::~DiskTier() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  thread_.join();
}

DiskTier::Place DiskTier::longest_known(std::span<const EntryKey> keys) const {
  const std::lock_guard lock(mutex_);
  for (std::size_t blocks = keys.size(); blocks > 0; --blocks) {
    if (catalog_.find(keys[blocks - 1]) != nullptr)
      return {.blocks = static_cast<int>(blocks), .key = keys[blocks - 1]};
  }
  return {};
}

DiskTier::Place DiskTier::longest_stored(std::span<const EntryKey> keys) {
  const std::lock_guard lock(mutex_);
  for (std::size_t blocks = keys.size(); blocks > 0; --blocks) {
    const EntryCatalog::Entry* entry = catalog_.find(keys[blocks - 1]);
    if (entry == nullptr || entry->bytes == 0) continue;
    catalog_.touch(keys[blocks - 1]);
    return {.blocks = static_cast<int>(blocks), .key = keys[blocks - 1]};
  }
  return {};
}

std::vector<EntryKey> DiskTier::chain_of(const EntryKey& key, int from_block) const {
  std::vector<EntryKey> chain;
  EntryKey at = key;
  for (const EntryCatalog::Entry* entry = catalog_.find(at); entry != nullptr; entry = catalog_.find(at)) {
    chain.push_back(at);
    if (entry->first_block <= from_block) break;
    at = entry->parent;
  }
  std::ranges::reverse(chain);
  return chain;
}

std::uint64_t DiskTier::load_bytes(const EntryKey& key, int from_block) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const EntryKey& entry : chain_of(key, from_block)) bytes += catalog_.find(entry)->bytes;
  return bytes;
}

bool DiskTier::has_room(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (queued_bytes_ + bytes <= config_.max_queued_bytes) return true;
  ++stats_.skipped;
  return false;
}

void DiskTier::write(const EntryKey& key, const EntryKey& parent, ContextImage image) {
  {
    const std::lock_guard lock(mutex_);
    const auto blocks = image.tokens.size() / static_cast<std::size_t>(identity_.layout.block_size);
    if (!catalog_.add(key, parent, static_cast<int>(blocks))) return;
    queued_bytes_ += image.cache_bytes();
  }
  post(Write{.key = key, .parent = parent, .image = std::move(image)});
}

void DiskTier::load(const EntryKey& key, int from_block, Loaded done) {
  post(Load{.key = key, .from_block = from_block, .done = std::move(done)});
}

void DiskTier::post(Job job) {
  {
    const std::lock_guard lock(mutex_);
    // Somebody waits for what is loaded; nobody waits for what is written.
    const auto urgent =
        std::ranges::find_if(jobs_, [](const Job& other) { return std::holds_alternative<Write>(other); });
    jobs_.insert(std::holds_alternative<Load>(job) ? urgent : jobs_.end(), std::move(job));
  }
  work_.notify_one();
}

void DiskTier::flush() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return jobs_.empty() && !busy_; });
}

DiskTierStats DiskTier::stats() const {
  const std::lock_guard lock(mutex_);
  DiskTierStats stats = stats_;
  stats.bytes = catalog_.bytes();
  stats.entries = static_cast<std::int64_t>(catalog_.size());
  return stats;
}

void DiskTier::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    std::visit([this](auto& j) { execute(j); }, job);
    lock.lock();
    busy_ = false;
    done_.notify_all();
  }
}

void DiskTier::execute(const Scan& /*scan*/) {
  remove_abandoned(folder_);
  std::vector<Found> found;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".entry") continue;
    const std::string path = it->path().string();
    Result<EntryHeader> header = read_entry_header(path);
    const bool mine = header.ok() && it->path().filename() == entry_file_name(header->key);
    if (mine) {
      std::error_code no_time;
      found.push_back({.header = *header, .used = fs::last_write_time(it->path(), no_time)});
    } else if (header.ok() || header.error().code == ErrorCode::kInvalidArgument) {
      report_damage(header.ok() ? Error{.code = ErrorCode::kInvalidArgument,
                                        .message = path + " is an entry of another name",
                                        .field = {}}
                                : header.error());
      std::error_code gone;
      fs::remove(it->path(), gone);
    }
  }
  // Parents come before their children; within one depth the longest unused first, and uses are told afterwards.
  std::ranges::sort(found, {}, [](const Found& f) { return f.header.blocks; });
  std::vector<EntryKey> orphans;
  {
    const std::lock_guard lock(mutex_);
    for (const Found& f : found) {
      const EntryCatalog::Entry* known = catalog_.find(f.header.key);
      if (known != nullptr) continue;  // queued meanwhile: the file will be written again
      if (!catalog_.add(f.header.key, f.header.parent, static_cast<int>(f.header.blocks))) {
        orphans.push_back(f.header.key);
        continue;
      }
      catalog_.stored(f.header.key, f.header.file_bytes);
    }
    std::ranges::sort(found, {}, [](const Found& f) { return f.used; });
    for (const Found& f : found) catalog_.touch(f.header.key);
  }
  for (const EntryKey& key : orphans) delete_file(key);
  static_cast<void>(make_room(0));
}

void DiskTier::execute(Write& write) {
  const std::size_t bytes = write.image.cache_bytes();
  bool wanted = false;
  {
    // The entry may have gone with an ancestor that could not be written or was found damaged.
    const std::lock_guard lock(mutex_);
    wanted = catalog_.find(write.key) != nullptr;
  }
  Status status = ok_status();
  try {
    if (wanted) status = store(write);
  } catch (const std::bad_alloc&) {
    status = Error{.code = ErrorCode::kUnavailable, .message = "no memory to write an entry", .field = {}};
  }
  if (!status.ok()) {
    remove(write.key);
    if (config_.warn && !std::exchange(write_failed_, true)) {
      config_.warn("the cache directory takes no more entries (what it holds is still read): " +
                   status.error().message);
    }
  }
  const std::lock_guard lock(mutex_);
  queued_bytes_ -= bytes;
  ++(wanted && status.ok() ? stats_.written : stats_.skipped);
}

Status DiskTier::store(const Write& write) {
  const std::string content = serialize_context(write.image, identity_);
  EntryHeader header{.key = write.key,
                     .parent = write.parent,
                     .blocks = static_cast<std::uint32_t>(write.image.tokens.size()) /
                               static_cast<std::uint32_t>(identity_.layout.block_size),
                     .file_bytes = kEntryHeaderBytes + content.size()};
  if (!make_room(header.file_bytes)) {
    return Error{
        .code = ErrorCode::kResourceExhausted,
        .message = "an entry of " + std::to_string(header.file_bytes) + " bytes has no room in --cache-dir-size",
        .field = {}};
  }
  if (Status status = write_entry(folder_, header, content); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  catalog_.stored(write.key, header.file_bytes);
  return ok_status();
}

bool DiskTier::make_room(std::uint64_t bytes) {
  while (true) {
    std::optional<EntryKey> oldest;
    {
      const std::lock_guard lock(mutex_);
      if (bytes > config_.max_bytes) return false;
      if (catalog_.bytes() <= config_.max_bytes - bytes) return true;
      oldest = catalog_.oldest_leaf();
      if (!oldest) return false;
      ++stats_.evicted;
    }
    remove(*oldest);
  }
}

void DiskTier::execute(Load& load) {
  std::vector<EntryKey> chain;
  {
    const std::lock_guard lock(mutex_);
    if (!stop_) chain = chain_of(load.key, load.from_block);
  }
  std::vector<ContextImage> images;
  for (const EntryKey& key : chain) {
    Result<ContextImage> image = Error{.code = ErrorCode::kUnavailable, .message = "no memory", .field = {}};
    try {
      image = read_entry(folder_, key, identity_);
    } catch (const std::bad_alloc&) {
      break;
    }
    if (!image.ok()) {
      if (image.error().code == ErrorCode::kInvalidArgument) report_damage(image.error());
      if (image.error().code != ErrorCode::kUnavailable) remove(key);
      break;
    }
    touch_entry(folder_, key);
    images.push_back(*std::move(image));
    const std::lock_guard lock(mutex_);
    ++stats_.read;
  }
  load.done(std::move(images));
}

void DiskTier::remove(const EntryKey& key) {
  std::vector<EntryKey> erased;
  {
    const std::lock_guard lock(mutex_);
    erased = catalog_.erase(key);
  }
  for (const EntryKey& entry : erased) delete_file(entry);
}

void DiskTier::report_damage(const Error& error) {
  if (config_.warn) config_.warn("a damaged file of the cache directory is deleted: " + error.message);
  const std::lock_guard lock(mutex_);
  ++stats_.damaged;
}

void DiskTier::delete_file(const EntryKey& key) const {
  std::error_code gone;
  fs::remove(fs::path(folder_) / entry_file_name(key), gone);
}

}  // namespace krait
