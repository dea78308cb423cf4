#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace krait {

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
  [[nodiscard]] bool contains(const void* address) const;
  /// Tells the system that the whole pages in this range are not needed soon. They stay valid: a later touch reads them
  /// again.
  void discard(std::span<const std::byte> range) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace krait
