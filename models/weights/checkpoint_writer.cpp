#include "models/weights/checkpoint_writer.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "kernels/result.h"

namespace krait {
namespace {

using nlohmann::json;

const char* safetensors_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "F32";
    case DType::kBFloat16:
      return "BF16";
    case DType::kFloat16:
      return "F16";
    case DType::kFloat8E4M3:
      return "F8_E4M3";
    case DType::kFloat8E5M2:
      return "F8_E5M2";
    case DType::kInt64:
      return "I64";
    case DType::kInt32:
      return "I32";
    case DType::kInt8:
      return "I8";
    case DType::kUInt8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  KRAIT_BUG("a dtype without a name");
}

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::string folder, std::size_t header_bytes, std::size_t shard_bytes)
    : folder_(std::move(folder)), header_bytes_((header_bytes + 71) / 8 * 8), shard_bytes_(shard_bytes) {
  begin_shard();
}

void CheckpointWriter::fail(const std::string& path) const {
  throw StartupError(path + ": cannot be written (is the disk full?)");
}

void CheckpointWriter::begin_shard() {
  const std::string path = folder_ + "/model-" + std::to_string(shards_.size() + 1) + ".safetensors.partial";
  shards_.push_back({.path = path, .header = R"({"__metadata__":{"format":"pt"})"});
  file_.open(path, std::ios::binary | std::ios::trunc);
  file_ << std::string(sizeof(std::uint64_t) + header_bytes_, ' ');
  if (!file_) fail(path);
}

void CheckpointWriter::end_shard() {
  Shard& shard = shards_.back();
  shard.header += "}";
  if (shard.header.size() > header_bytes_) KRAIT_BUG("the header of a shard is longer than the space left for it");
  std::string length(sizeof(std::uint64_t), '\0');
  for (std::size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>(header_bytes_ >> (8 * i) & 0xffU);
  file_.seekp(0);
  file_ << length << shard.header;
  file_.close();
  if (!file_) fail(shard.path);
}

void CheckpointWriter::add(const std::string& name, DType dtype, const Shape& shape, const void* data) {
  if (shards_.back().bytes >= shard_bytes_) {
    end_shard();
    begin_shard();
  }
  Shard& shard = shards_.back();
  const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * dtype_size(dtype);
  json sizes = json::array();
  for (int axis = 0; axis < shape.rank(); ++axis) sizes.push_back(shape[axis]);
  const json entry = {
      {"dtype", safetensors_name(dtype)}, {"shape", sizes}, {"data_offsets", {shard.bytes, shard.bytes + bytes}}};
  shard.header += "," + json(name).dump() + ":" + entry.dump();
  file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  if (!file_) fail(shard.path);
  shard.bytes += bytes;
  total_ += bytes;
  if (!shard_of_.emplace(name, shards_.size() - 1).second) KRAIT_BUG("a tensor is written twice: " + name);
}

void CheckpointWriter::finish() {
  end_shard();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    std::error_code error;
    std::filesystem::rename(shards_[i].path, folder_ + "/" + shard_name(i, shards_.size()), error);
    if (error) fail(shards_[i].path);
  }
  if (shards_.size() == 1) return;
  json index = {{"metadata", {{"total_size", total_}}}, {"weight_map", json::object()}};
  for (const auto& [name, shard] : shard_of_) index["weight_map"][name] = shard_name(shard, shards_.size());
  const std::string path = folder_ + "/model.safetensors.index.json";
  std::ofstream file(path);
  file << index.dump(2) << "\n";
  if (!file.flush()) fail(path);
}

}  // namespace krait
