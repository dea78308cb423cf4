#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace krait {

/// By what a file is recognised as unchanged without being read. The time of its last change of any kind (ctime) cannot
/// be set back, as that of its last modification can.
struct FileStamp {
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};
/// Of what lies at `path` now; nullopt when there is nothing.
std::optional<FileStamp> file_stamp(const std::string& path);

/// A whole file mapped read-only. Pages are read when they are touched, and the system may drop them again at any time.
/// The file must not shrink while it is mapped: touching a page past its new end kills the process.
class MappedFile {
 public:
  /// Throws StartupError "<path>: …" when the path is missing, no regular file, empty, or cannot be mapped.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Of the file as it was when it was opened.
  [[nodiscard]] const FileStamp& stamp() const { return stamp_; }
  [[nodiscard]] bool contains(const void* address) const;
  /// Tells the system that the whole pages in this range are not needed soon. They stay valid: a later touch reads them
  /// again.
  void discard(std::span<const std::byte> range) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  FileStamp stamp_;
};

}  // namespace krait
