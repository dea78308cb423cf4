#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/cache/disk/open_file.h"
#include "engine/packed_weights/packed_file_format.h"
#include "kernels/result.h"

namespace krait {

/// The right to write a file of packed weights: one process at a time has it. It is written under another name
/// (`PATH.partial`), synced and renamed, so that the file is whole whenever it is there.
class PackedFileWriter {
 public:
  /// Null while another process has the right. An error names path and reason.
  static Result<std::unique_ptr<PackedFileWriter>> begin(const std::string& path);
  /// Removes what was not finished.
  ~PackedFileWriter();
  PackedFileWriter(const PackedFileWriter&) = delete;
  PackedFileWriter& operator=(const PackedFileWriter&) = delete;

  /// The file's bytes. Ends with an error (kCancelled) soon after `stop` is set. Call it once.
  Result<std::size_t> write(const PackedImages& images, std::uint64_t identity, const std::atomic<bool>& stop);

 private:
  PackedFileWriter(std::string path, std::unique_ptr<OpenFile> partial);

  std::string path_;
  std::unique_ptr<OpenFile> partial_;  ///< locked; null once it is renamed
};

}  // namespace krait
