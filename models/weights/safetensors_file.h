#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "kernels/tensor.h"
#include "models/weights/mapped_file.h"
#include "models/weights/safetensors_header.h"

namespace krait {

/// One mapped safetensors file whose header has been checked. Views may be taken on any thread.
class SafetensorsFile {
 public:
  /// Throws StartupError with the file's name, and the tensor's where one is at fault.
  explicit SafetensorsFile(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const FileStamp& stamp() const { return file_.stamp(); }
  [[nodiscard]] const std::map<std::string, TensorEntry>& entries() const { return entries_; }
  /// The bytes of one of `entries()`, read-only although the type does not say so: the mapping itself where it is
  /// aligned for the dtype, else an aligned copy that is made on first use and lives as long as this object.
  [[nodiscard]] TensorView view(const TensorEntry& entry) const;
  /// True when the view's bytes were in this file's mapping, whose whole pages are then given back to the system.
  bool discard(const TensorView& view) const;
  /// Gives back `bytes` of one of `entries()` from `offset` on. An aligned copy goes with the tensor's last byte, and
  /// with it every view of it.
  void discard(const TensorEntry& entry, std::size_t offset, std::size_t bytes) const;
  /// The whole file.
  [[nodiscard]] std::span<const std::byte> bytes() const { return file_.bytes(); }

 private:
  [[nodiscard]] std::byte* aligned_copy(const TensorEntry& entry) const;

  std::string path_;
  MappedFile file_;
  std::map<std::string, TensorEntry> entries_;
  mutable std::mutex copies_mutex_;
  mutable std::map<std::size_t, std::unique_ptr<std::byte[]>> copies_;  ///< by `TensorEntry::begin`
};

}  // namespace krait
