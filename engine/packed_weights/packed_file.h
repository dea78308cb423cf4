#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/packed_weights/packed_file_format.h"
#include "kernels/result.h"

namespace krait {

/// A file of packed weights, mapped. Its pages are the page cache's: processes that map one file share them. The file
/// is replaced by renaming and never written in place, so that a mapping stays what it was.
class PackedFile {
 public:
  /// Maps the file and compares all of its bytes with their checksums, on `threads` threads (0: all cores). Errors,
  /// whose messages begin with the path: kNotFound where there is no such file, kUnsupported for a file of another
  /// identity or version, kInvalidArgument for one that is damaged or cannot be read.
  static Result<PackedFile> open(const std::string& path, std::uint64_t identity, int threads);
  /// The same by the trailer alone.
  static Status peek(const std::string& path, std::uint64_t identity);

  /// Their blocks keep the mapping alive.
  [[nodiscard]] const PackedImages& images() const { return images_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  PackedFile(PackedImages images, std::size_t bytes) : images_(std::move(images)), bytes_(bytes) {}

  PackedImages images_;
  std::size_t bytes_ = 0;
};

}  // namespace krait
