#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/tensor.h"
#include "models/weights/mapped_file.h"

namespace krait {

/// The tensors of one checkpoint folder (`model.safetensors`, or shards by `model.safetensors.index.json`), mapped
/// read-only. Every header field is checked against the file's size before use; faults are StartupErrors with the
/// file's and the tensor's name.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& folder);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  [[nodiscard]] bool has(const std::string& name) const;
  /// The tensor's bytes in the mapping; throws StartupError when it is not there.
  [[nodiscard]] TensorView tensor(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::size_t total_bytes() const;
  [[nodiscard]] const std::string& folder() const;
  /// The tensor's shape and dtype, and the path of the file that it is in, for messages; throw StartupError when it is
  /// not there.
  [[nodiscard]] Shape shape(const std::string& name) const;
  [[nodiscard]] DType dtype(const std::string& name) const;
  [[nodiscard]] const std::string& file_of(const std::string& name) const;
  /// Gives the memory behind a view of `tensor` back to the system. The view stays valid and is read from the file
  /// again when touched.
  void discard(const TensorView& view) const;
  /// The same for a tensor, or for `bytes` of it from `offset` on, by name. Views of a tensor whose last byte was given
  /// back are not to be used again.
  void discard(const std::string& name) const;
  void discard(const std::string& name, std::size_t offset, std::size_t bytes) const;
  /// Every file as it is mapped, in the order of the index.
  [[nodiscard]] std::vector<std::span<const std::byte>> files() const;
  /// The name of every file in the folder, and its stamp when it was opened.
  [[nodiscard]] std::vector<std::pair<std::string, FileStamp>> stamps() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace krait
