#include "models/weights/shard_index.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include "kernels/result.h"
#include "models/config/json_document.h"

namespace krait {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::size_t kMaximumIndexBytes = 100'000'000;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = path + ": " + message, .field = path});
}

/// Through symbolic links, which the Hugging Face cache is made of.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

/// What to do about a folder that has weights in another form.
struct OtherFormat {
  std::string_view suffix;
  std::string_view advice;
};

/// The likeliest cause first.
constexpr std::array<OtherFormat, 5> kOtherFormats = {{
    {".safetensors", "Name the file model.safetensors, or add the index file that lists its shards"},
    {".gguf", "Krait reads safetensors only: download the safetensors repository that the GGUF file was made from"},
    {".bin", "Krait reads safetensors only: load it in transformers and write it with save_pretrained()"},
    {".pt", "Krait reads safetensors only: load it in transformers and write it with save_pretrained()"},
    {".pth", "Krait reads safetensors only: load it in transformers and write it with save_pretrained()"},
}};

/// The first name by alphabet, so that the message does not depend on the order of the directory.
std::string first_file_with_suffix(const std::string& folder, std::string_view suffix) {
  std::set<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(suffix)) found.insert(name);
  }
  return found.empty() ? std::string{} : *found.begin();
}

[[noreturn]] void fail_without_weights(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) fail(folder, "no such folder");
  std::string message = "has neither " + std::string(kSingleFile) + " nor " + std::string(kIndexFile);
  for (const OtherFormat& format : kOtherFormats) {
    const std::string name = first_file_with_suffix(folder, format.suffix);
    if (!name.empty()) fail(folder, message.append(", but ").append(name).append(". ").append(format.advice));
  }
  fail(folder, message +
                   ": the weights are missing. Download the model again, or give `krait info` this folder, which needs "
                   "only its config.json");
}

/// A shard lies beside its index; anything else in the name (a slash, "..") would let a download read other files.
bool is_plain_file_name(std::string_view name) {
  constexpr std::string_view kForbidden("/\\\0", 3);
  return name.ends_with(".safetensors") && name.find_first_of(kForbidden) == std::string_view::npos;
}

/// One line of `weight_map`, checked before its file name is used.
void add_tensor(ShardIndex& index, const std::string& tensor, const json& file) {
  const std::string where = "tensor `" + shorten(tensor) + "` in `weight_map` ";
  if (!file.is_string()) fail(index.path, where + "must have a file name, found " + describe_json(file));
  const auto& name = file.get_ref<const std::string&>();
  if (!is_plain_file_name(name)) {
    fail(index.path,
         where + "must have the name of a .safetensors file in the same folder, found " + describe_json(file));
  }
  index.tensor_files.emplace(tensor, name);
}

/// `metadata.total_size` is not read: writers disagree on what it counts.
ShardIndex read_index(const std::string& path) {
  const json root = parse_json(read_text_file(path, kMaximumIndexBytes), path + ":",
                               {.non_finite_numbers = false, .unique_names = true});
  const auto weight_map = root.is_object() ? root.find("weight_map") : root.end();
  if (weight_map == root.end() || !weight_map->is_object() || weight_map->empty()) {
    fail(path, "must have `weight_map`, an object from tensor names to file names");
  }
  ShardIndex index{.path = path, .files = {}, .tensor_files = {}};
  for (const auto& [tensor, file] : weight_map->items()) add_tensor(index, tensor, file);
  std::set<std::string> files;
  for (const auto& [tensor, file] : index.tensor_files) files.insert(file);
  index.files.assign(files.begin(), files.end());
  return index;
}

}  // namespace

ShardIndex find_shards(const std::string& folder) {
  const fs::path root(folder);
  // As in transformers, the single file goes before an index beside it.
  if (is_there(root / kSingleFile)) return {.path = {}, .files = {std::string(kSingleFile)}, .tensor_files = {}};
  if (is_there(root / kIndexFile)) return read_index((root / kIndexFile).string());
  fail_without_weights(folder);
}

bool has_all_shards(const std::string& folder) {
  const fs::path root(folder);
  if (is_there(root / kSingleFile)) return true;
  if (!is_there(root / kIndexFile)) return false;
  const ShardIndex index = read_index((root / kIndexFile).string());
  return std::all_of(index.files.begin(), index.files.end(), [&](const auto& file) { return is_there(root / file); });
}

}  // namespace krait
