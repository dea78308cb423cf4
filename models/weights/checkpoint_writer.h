#pragma once

#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "kernels/tensor.h"

namespace krait {

/// Writes a checkpoint folder tensor by tensor: `model.safetensors`, or shards with their index. A shard's header is
/// written last, into space that was left for it, so that no more than one tensor is in memory. Faults of the disk are
/// StartupErrors with the file's name.
class CheckpointWriter {
 public:
  /// `header_bytes`: the most that a header may take; `shard_bytes`: a new shard is begun after that many.
  CheckpointWriter(std::string folder, std::size_t header_bytes, std::size_t shard_bytes);

  /// Names are given once. `data` is as long as shape and dtype say.
  void add(const std::string& name, DType dtype, const Shape& shape, const void* data);
  /// Writes headers and index, and gives the files their names.
  void finish();
  [[nodiscard]] std::size_t bytes() const { return total_; }
  /// What the header says of a tensor takes at most.
  static std::size_t header_bytes_of(const std::string& name) { return name.size() * 6 + 200; }

 private:
  struct Shard {
    std::string path;
    std::string header;  ///< entries so far
    std::size_t bytes = 0;
  };
  void begin_shard();
  void end_shard();
  [[noreturn]] void fail(const std::string& path) const;

  std::string folder_;
  std::size_t header_bytes_;
  std::size_t shard_bytes_;
  std::vector<Shard> shards_;
  std::ofstream file_;
  std::map<std::string, std::size_t> shard_of_;
  std::size_t total_ = 0;
};

}  // namespace krait
