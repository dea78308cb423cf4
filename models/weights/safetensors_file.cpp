#include "models/weights/safetensors_file.h"

#include <cstdint>
#include <cstring>

namespace krait {

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path), file_(path), entries_(parse_safetensors_header(file_.bytes(), path)) {}

TensorView SafetensorsFile::view(const TensorEntry& entry) const {
  const std::byte* data = file_.bytes().data() + entry.begin;
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % dtype_size(entry.dtype) == 0;
  // TensorView has one pointer type for both directions; weights are only ever read.
  return {aligned ? const_cast<std::byte*>(data) : aligned_copy(entry), entry.dtype, entry.shape};
}

std::byte* SafetensorsFile::aligned_copy(const TensorEntry& entry) const {
  const std::lock_guard lock(copies_mutex_);
  std::unique_ptr<std::byte[]>& copy = copies_[entry.begin];
  if (!copy) {
    // `new std::byte[]` is aligned for every element type that a checkpoint has.
    copy = std::make_unique<std::byte[]>(entry.bytes);
    std::memcpy(copy.get(), file_.bytes().data() + entry.begin, entry.bytes);
  }
  return copy.get();
}

bool SafetensorsFile::discard(const TensorView& view) const {
  if (!file_.contains(view.data)) return false;
  file_.discard({view.as<std::byte>(), view.bytes()});
  return true;
}

void SafetensorsFile::discard(const TensorEntry& entry, std::size_t offset, std::size_t bytes) const {
  file_.discard(file_.bytes().subspan(entry.begin + offset, bytes));
  if (offset + bytes != entry.bytes) return;
  const std::lock_guard lock(copies_mutex_);
  copies_.erase(entry.begin);
}

}  // namespace krait
