#include "engine/packed_weights/packed_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/thread_pool.h"
#include "models/weights/mapped_file.h"
#include "models/weights/read_ahead.h"

namespace krait {
namespace {

using Bytes = std::span<const std::byte>;

std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Error with_path(const std::string& path, const Error& error) {
  return {.code = error.code, .message = path + " " + error.message, .field = path};
}

Result<std::shared_ptr<const MappedFile>> map(const std::string& path) {
  if (!file_stamp(path)) return Error{.code = ErrorCode::kNotFound, .message = path + " is not there", .field = path};
  try {
    return std::make_shared<const MappedFile>(path);
  } catch (const StartupError& error) {
    return Error{.code = ErrorCode::kInvalidArgument, .message = error.what(), .field = path};
  }
}

Result<PackedTrailer> find_trailer(Bytes file, std::uint64_t identity) {
  const std::size_t size = std::min(kPackedTrailerBytes, file.size());
  auto trailer = parse_trailer(as_text(file.last(size)), file.size());
  if (trailer.ok() && trailer->identity != identity) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message = "is of another state of the checkpoint, or of another version",
                 .field = {}};
  }
  return trailer;
}

/// Whether all pieces have their checksums. Reading ahead of the threads keeps a disk at work.
bool check_pieces(Bytes data, const std::vector<std::uint64_t>& checksums, int threads) {
  ReadAhead ahead({data});
  ThreadPool pool(threads);
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> right = true;
  // In the file's order, which halves of it would not be.
  pool.parallel_for(pool.size(), [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t turn = begin; turn < end; ++turn) {
      for (std::size_t i = next++; i < checksums.size() && right; i = next++) {
        const Bytes piece = data.subspan(i * kPackedPiece, std::min(kPackedPiece, data.size() - i * kPackedPiece));
        if (XXH3_64bits(piece.data(), piece.size()) != checksums[i]) right = false;
        ahead.advance(i * kPackedPiece);
      }
    }
  });
  return right;
}

PackedImages make_images(PackedIndex& index, const std::shared_ptr<const MappedFile>& file) {
  PackedImages images;
  for (PackedIndex::Entry& entry : index.entries) {
    PackedImage image{.form = std::move(entry.form), .blocks = {}};
    for (const PackedBlock& block : entry.blocks) {
      // Buffers have one pointer type for both directions; packed weights are only ever read.
      auto* data = const_cast<std::byte*>(file->bytes().data() + block.begin);
      image.blocks.push_back({.data = std::shared_ptr<void>(std::const_pointer_cast<MappedFile>(file), data),
                              .bytes = static_cast<std::size_t>(block.bytes)});
    }
    images.emplace(std::move(entry.key), std::move(image));
  }
  return images;
}

}  // namespace

Result<PackedFile> PackedFile::open(const std::string& path, std::uint64_t identity, int threads) {
  const auto file = map(path);
  if (!file.ok()) return file.error();
  const Bytes bytes = file.value()->bytes();
  const auto trailer = find_trailer(bytes, identity);
  if (!trailer.ok()) return with_path(path, trailer.error());
  const auto data = bytes.first(static_cast<std::size_t>(trailer->index_begin));
  const auto rest = bytes.subspan(data.size(), bytes.size() - data.size() - kPackedTrailerBytes);
  if (XXH3_64bits(rest.data(), rest.size()) != trailer->index_checksum) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = path + " is damaged: the checksum of its index does not match",
                 .field = path};
  }
  auto index = parse_index(as_text(rest), trailer->index_begin);
  if (!index.ok()) return with_path(path, index.error());
  if (!check_pieces(data, index->checksums, threads)) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = path + " is damaged: a checksum of its weights does not match",
                 .field = path};
  }
  return PackedFile(make_images(*index, file.value()), bytes.size());
}

Status PackedFile::peek(const std::string& path, std::uint64_t identity) {
  const auto file = map(path);
  if (!file.ok()) return file.error();
  const auto trailer = find_trailer(file.value()->bytes(), identity);
  if (!trailer.ok()) return with_path(path, trailer.error());
  return ok_status();
}

}  // namespace krait
