#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace krait {

/// A file of the system, closed at the end. After a failure errno says why.
class OpenFile {
 public:
  /// `flags` are those of open(2), `mode` is a new file's: by default it is its owner's alone.
  OpenFile(const std::string& path, int flags, unsigned mode = 0600);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  /// False when another process has it, for as long as that one lives.
  [[nodiscard]] bool try_lock() const;
  /// Whether it still is what lies at `path`.
  [[nodiscard]] bool is_at(const std::string& path) const;

  /// Drops its bytes.
  [[nodiscard]] bool truncate() const;
  /// Room on the disk for so many bytes, without changing the file; true too where the file system cannot reserve.
  [[nodiscard]] bool reserve(std::size_t bytes) const;
  [[nodiscard]] bool write_all(std::string_view bytes) const;
  /// Its bytes are on the disk: a file that is renamed must not be empty after a power cut.
  [[nodiscard]] bool sync() const;
  /// The next `limit` bytes, or all if there are fewer; nullopt when the system cannot read them.
  [[nodiscard]] std::optional<std::string> read(std::size_t limit) const;
  [[nodiscard]] std::optional<std::size_t> size() const;

 private:
  int descriptor_;
};

}  // namespace krait
