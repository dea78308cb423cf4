#include "engine/packed_weights/packed_file_writer.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

namespace krait {
namespace {

/// Bytes after which what was written goes to the disk: a file of gigabytes must neither fill the memory with pages
/// that wait nor end with one long wait.
constexpr std::size_t kSyncBytes = std::size_t{64} << 20U;

/// As other readers of the checkpoint have its files: subject to the process's umask.
constexpr unsigned kMode = 0644;

Error system_error(const std::string& path, const std::string& what) {
  return {.code = ErrorCode::kUnavailable, .message = path + " " + what + ": " + std::strerror(errno), .field = path};
}

std::string partial_name(const std::string& path) { return path + ".partial"; }

/// Appends to a file, with a checksum of every piece, until `stop`.
class PieceStream {
 public:
  PieceStream(const OpenFile& file, const std::atomic<bool>& stop) : file_(file), stop_(stop) {
    XXH3_64bits_reset(&hash_);
  }

  [[nodiscard]] bool append(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, kPackedPiece - written_ % kPackedPiece);
      if (stop_ || !file_.write_all(part)) return false;
      XXH3_64bits_update(&hash_, part.data(), part.size());
      written_ += part.size();
      if (written_ % kPackedPiece == 0) end_piece();
      if (written_ % kSyncBytes == 0 && !file_.sync()) return false;
      bytes.remove_prefix(part.size());
    }
    return true;
  }
  [[nodiscard]] bool align() {
    static constexpr std::array<char, kPackedAlignment> kZeros{};
    return append({kZeros.data(), (kPackedAlignment - written_ % kPackedAlignment) % kPackedAlignment});
  }
  [[nodiscard]] std::uint64_t written() const { return written_; }
  /// Of all pieces, the last and shorter one too.
  [[nodiscard]] std::vector<std::uint64_t> finish() {
    if (written_ % kPackedPiece != 0) end_piece();
    return std::move(checksums_);
  }

 private:
  void end_piece() {
    checksums_.push_back(XXH3_64bits_digest(&hash_));
    XXH3_64bits_reset(&hash_);
  }

  const OpenFile& file_;
  const std::atomic<bool>& stop_;
  XXH3_state_t hash_{};
  std::uint64_t written_ = 0;
  std::vector<std::uint64_t> checksums_;
};

bool append_images(const PackedImages& images, PieceStream& stream, PackedIndex& index) {
  if (!stream.append(kPackedMagic) || !stream.align()) return false;
  for (const auto& [key, image] : images) {
    PackedIndex::Entry& entry =
        index.entries.emplace_back(PackedIndex::Entry{.key = key, .form = image.form, .blocks = {}});
    for (const Buffer& block : image.blocks) {
      entry.blocks.push_back({.begin = stream.written(), .bytes = block.bytes});
      const std::string_view bytes(static_cast<const char*>(block.data.get()), block.bytes);
      if (!stream.append(bytes) || !stream.align()) return false;
    }
  }
  return true;
}

/// What the blocks will take, so that a disk that is too small is noticed before it is full.
std::size_t bytes_of(const PackedImages& images) {
  std::size_t bytes = 0;
  for (const auto& [key, image] : images) {
    for (const Buffer& block : image.blocks) bytes += block.bytes;
  }
  return bytes;
}

/// A rename is on the disk when its folder is. Not all file systems can do it, and nothing is lost but the file.
void sync_folder(const std::string& path) {
  const OpenFile folder(std::filesystem::path(path).parent_path().string(), O_RDONLY | O_DIRECTORY);
  if (folder.is_open()) static_cast<void>(folder.sync());
}

}  // namespace

Result<std::unique_ptr<PackedFileWriter>> PackedFileWriter::begin(const std::string& path) {
  const std::string name = partial_name(path);
  auto partial = std::make_unique<OpenFile>(name, O_CREAT | O_RDWR, kMode);
  if (!partial->is_open()) return system_error(name, "cannot be created");
  if (!partial->try_lock()) {
    if (errno != EWOULDBLOCK) return system_error(name, "cannot be locked");
    return std::unique_ptr<PackedFileWriter>();
  }
  // Between opening and locking another process may have finished: then this is its file under its final name.
  if (!partial->is_at(name)) return std::unique_ptr<PackedFileWriter>();
  // What a process that was killed has left.
  if (!partial->truncate()) return system_error(name, "cannot be written");
  return std::unique_ptr<PackedFileWriter>(new PackedFileWriter(path, std::move(partial)));
}

PackedFileWriter::PackedFileWriter(std::string path, std::unique_ptr<OpenFile> partial)
    : path_(std::move(path)), partial_(std::move(partial)) {}

PackedFileWriter::~PackedFileWriter() {
  if (partial_ != nullptr) ::unlink(partial_name(path_).c_str());
}

Result<std::size_t> PackedFileWriter::write(const PackedImages& images, std::uint64_t identity,
                                            const std::atomic<bool>& stop) {
  const std::string name = partial_name(path_);
  const auto failed = [&]() -> Error {
    if (stop) return {.code = ErrorCode::kCancelled, .message = name + " was not finished", .field = name};
    return system_error(name, "cannot be written");
  };
  if (!partial_->reserve(bytes_of(images))) return failed();
  PackedIndex index;
  PieceStream stream(*partial_, stop);
  if (!append_images(images, stream, index)) return failed();
  PackedTrailer trailer{.identity = identity, .index_begin = stream.written()};
  index.checksums = stream.finish();
  const std::string tail = index_bytes(index);
  trailer.index_checksum = XXH3_64bits(tail.data(), tail.size());
  trailer.file_bytes = trailer.index_begin + tail.size() + kPackedTrailerBytes;
  if (!partial_->write_all(tail + trailer_bytes(trailer)) || !partial_->sync()) return failed();
  if (::rename(name.c_str(), path_.c_str()) != 0) return system_error(name, "cannot be renamed");
  partial_.reset();
  sync_folder(path_);
  return static_cast<std::size_t>(trailer.file_bytes);
}

}  // namespace krait
