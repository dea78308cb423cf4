#include "engine/cache/disk/entry_file.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cache/byte_format.h"
#include "engine/cache/disk/open_file.h"

namespace krait {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "KRAITENT";
constexpr std::uint32_t kVersion = 1;
constexpr std::string_view kTemporary = ".tmp";

std::string path_of(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

Error system_error(const std::string& path, const std::string& what) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
  return {.code = code, .message = path + ": " + what + ": " + std::strerror(errno), .field = {}};
}

Error damaged(const std::string& path, const std::string& what) {
  return {.code = ErrorCode::kInvalidArgument, .message = path + " " + what, .field = {}};
}

std::string header_bytes(const EntryHeader& header) {
  ByteWriter writer(kEntryHeaderBytes);
  writer.put_bytes(kMagic.data(), kMagic.size());
  writer.put(kVersion);
  writer.put(header.blocks);
  writer.put(header.key);
  writer.put(header.parent);
  writer.put(header.file_bytes);
  writer.put(std::uint64_t{XXH3_64bits(writer.bytes().data(), writer.bytes().size())});
  return writer.take();
}

/// `file_bytes` is what the file really has.
Result<EntryHeader> parse_header(std::string_view bytes, std::size_t file_bytes, const std::string& path) {
  ByteReader reader(bytes);
  if (reader.get_bytes(kMagic.size()) != kMagic) return damaged(path, "is not an entry of a cache directory");
  const auto version = reader.get<std::uint32_t>();
  if (version && *version != kVersion) {
    return damaged(path, "has format version " + std::to_string(*version) + ", not " + std::to_string(kVersion));
  }
  const auto blocks = reader.get<std::uint32_t>();
  const auto key = reader.get<EntryKey>();
  const auto parent = reader.get<EntryKey>();
  const auto total = reader.get<std::uint64_t>();
  const auto checksum = reader.get<std::uint64_t>();
  if (!checksum) return damaged(path, "is truncated");
  if (*checksum != XXH3_64bits(bytes.data(), kEntryHeaderBytes - sizeof(std::uint64_t))) {
    return damaged(path, "has a damaged header: its checksum does not match");
  }
  if (*total != file_bytes) {
    return damaged(path, "is truncated: it has " + std::to_string(file_bytes) + " bytes of " + std::to_string(*total));
  }
  return EntryHeader{.key = *key, .parent = *parent, .blocks = *blocks, .file_bytes = *total};
}

}  // namespace

const std::size_t kEntryHeaderBytes = 8 + 2 * sizeof(std::uint32_t) + 2 * sizeof(EntryKey) + 2 * sizeof(std::uint64_t);

std::string entry_file_name(const EntryKey& key) { return key.to_string() + ".entry"; }

Status write_entry(const std::string& folder, const EntryHeader& header, const std::string& content) {
  static std::atomic<std::uint64_t> serial = 0;
  const std::string path = path_of(folder, entry_file_name(header.key));
  const std::string temporary =
      path + "." + std::to_string(::getpid()) + "." + std::to_string(++serial) + std::string(kTemporary);
  const OpenFile file(temporary, O_CREAT | O_EXCL | O_WRONLY);
  if (!file.is_open()) return system_error(temporary, "cannot be created");
  static_cast<void>(file.try_lock());
  if (!file.write_all(header_bytes(header)) || !file.write_all(content)) {
    Error error = system_error(temporary, "cannot be written");
    ::unlink(temporary.c_str());
    return error;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = system_error(temporary, "cannot be renamed");
    ::unlink(temporary.c_str());
    return error;
  }
  return ok_status();
}

Result<EntryHeader> read_entry_header(const std::string& path) {
  const OpenFile file(path, O_RDONLY);
  if (!file.is_open()) return system_error(path, "cannot be opened");
  const auto bytes = file.read(kEntryHeaderBytes);
  const auto size = file.size();
  if (!bytes || !size) return system_error(path, "cannot be read");
  return parse_header(*bytes, *size, path);
}

Result<ContextImage> read_entry(const std::string& folder, const EntryKey& key, const ContextIdentity& identity) {
  const std::string path = path_of(folder, entry_file_name(key));
  const OpenFile file(path, O_RDONLY);
  if (!file.is_open()) return system_error(path, "cannot be opened");
  const auto size = file.size();
  if (!size) return system_error(path, "cannot be read");
  // Sizes are looked at before memory is taken for them.
  const auto head = file.read(kEntryHeaderBytes);
  if (!head) return system_error(path, "cannot be read");
  const auto header = parse_header(*head, *size, path);
  if (!header.ok()) return header.error();
  const auto content = file.read(*size - kEntryHeaderBytes);
  if (!content) return system_error(path, "cannot be read");
  auto image = parse_context(*content, identity, "entry");
  if (!image.ok()) return damaged(path, "cannot be used: " + image.error().message);
  const std::vector<EntryKey> keys = prefix_keys(identity, image->salt, image->tokens);
  if (header->key != key || keys.size() != header->blocks || keys.empty() || keys.back() != key) {
    return damaged(path, "holds another prefix than its name says");
  }
  return image;
}

void touch_entry(const std::string& folder, const EntryKey& key) {
  static_cast<void>(::utimensat(AT_FDCWD, path_of(folder, entry_file_name(key)).c_str(), nullptr, 0));
}

void remove_abandoned(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::string> paths;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
    if (it->path().extension() == kTemporary) paths.push_back(it->path().string());
  }
  for (const std::string& path : paths) {
    const OpenFile file(path, O_RDWR);
    if (file.is_open() && file.try_lock()) ::unlink(path.c_str());
  }
}

}  // namespace krait
