#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/result.h"
#include "models/config/json_document.h"
#include "models/weights/checkpoint.h"
#include "models/weights/safetensors_file.h"
#include "models/weights/shard_index.h"

namespace krait {
namespace {

/// Names come from the file and may be of any length: they are shortened in messages.
[[noreturn]] void fail_tensor(const std::string& path, const std::string& name, const std::string& message) {
  const std::string text = path + ": tensor `" + shorten(name) + "` " + message;
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = text, .field = shorten(name)});
}

/// A missing shard is named together with the first tensor that the index promises in it.
void require_shards(const std::filesystem::path& folder, const ShardIndex& index) {
  for (const auto& [tensor, file] : index.tensor_files) {
    std::error_code error;
    if (std::filesystem::exists(folder / file, error)) continue;
    fail_tensor(
        (folder / file).string(), tensor,
        "should be in this file, but there is no such file (" + index.path + " names it): is the download complete?");
  }
}

}  // namespace

struct Checkpoint::Impl {
  /// Points into `files`, whose objects never move.
  struct Place {
    const SafetensorsFile* file = nullptr;
    const TensorEntry* entry = nullptr;
  };

  std::string folder;
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  std::map<std::string, Place> tensors;

  /// Opens every shard at once: a fault in the last one must not wait until the layers get there.
  explicit Impl(std::string folder_in) : folder(std::move(folder_in)) {
    const ShardIndex index = find_shards(folder);
    require_shards(folder, index);
    for (const std::string& name : index.files) {
      const std::string path = (std::filesystem::path(folder) / name).string();
      add(*files.emplace_back(std::make_unique<SafetensorsFile>(path)), name, index);
    }
    for (const auto& [tensor, file] : index.tensor_files) {
      if (!tensors.contains(tensor)) {
        fail_tensor((std::filesystem::path(folder) / file).string(), tensor,
                    "is not in this file, but " + index.path + " says so");
      }
    }
  }

  /// Adds a file's tensors. One that the index places in another file is left to that file; one that the index does not
  /// know is added, so that the loader can list it as unexpected.
  void add(const SafetensorsFile& file, const std::string& file_name, const ShardIndex& index) {
    for (const auto& [tensor, entry] : file.entries()) {
      const auto it = index.tensor_files.find(tensor);
      if (it == index.tensor_files.end() || it->second == file_name) tensors.emplace(tensor, Place{&file, &entry});
    }
  }

  /// Throws StartupError when there is no such tensor.
  [[nodiscard]] const Place& place(const std::string& name) const {
    const auto it = tensors.find(name);
    if (it == tensors.end()) fail_tensor(folder, name, "is not in the checkpoint");
    return it->second;
  }
};

Checkpoint::Checkpoint(const std::string& folder) : impl_(std::make_unique<Impl>(folder)) {}
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

bool Checkpoint::has(const std::string& name) const { return impl_->tensors.contains(name); }

TensorView Checkpoint::tensor(const std::string& name) const {
  const Impl::Place& place = impl_->place(name);
  return place.file->view(*place.entry);
}

Shape Checkpoint::shape(const std::string& name) const { return impl_->place(name).entry->shape; }

DType Checkpoint::dtype(const std::string& name) const { return impl_->place(name).entry->dtype; }

const std::string& Checkpoint::file_of(const std::string& name) const { return impl_->place(name).file->path(); }

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : impl_->tensors) names.push_back(name);
  return names;
}

std::size_t Checkpoint::total_bytes() const {
  std::size_t total = 0;
  for (const auto& [name, place] : impl_->tensors) total += place.entry->bytes;
  return total;
}

const std::string& Checkpoint::folder() const { return impl_->folder; }

void Checkpoint::discard(const TensorView& view) const {
  // An aligned copy is in no mapping and stays; by name it goes.
  for (const auto& file : impl_->files) {
    if (file->discard(view)) return;
  }
}

void Checkpoint::discard(const std::string& name) const {
  const Impl::Place& place = impl_->place(name);
  place.file->discard(*place.entry, 0, place.entry->bytes);
}

void Checkpoint::discard(const std::string& name, std::size_t offset, std::size_t bytes) const {
  const Impl::Place& place = impl_->place(name);
  place.file->discard(*place.entry, offset, bytes);
}

std::vector<std::span<const std::byte>> Checkpoint::files() const {
  std::vector<std::span<const std::byte>> files;
  for (const auto& file : impl_->files) files.push_back(file->bytes());
  return files;
}

std::vector<std::pair<std::string, FileStamp>> Checkpoint::stamps() const {
  std::vector<std::pair<std::string, FileStamp>> stamps;
  for (const auto& file : impl_->files) {
    stamps.emplace_back(std::filesystem::path(file->path()).filename().string(), file->stamp());
  }
  return stamps;
}

}  // namespace krait
