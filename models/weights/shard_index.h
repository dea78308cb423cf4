#pragma once

#include <map>
#include <string>
#include <vector>

namespace krait {

/// Which files a checkpoint consists of. With an index, `tensor_files` says which of them holds each tensor; without
/// one it is empty.
struct ShardIndex {
  std::string path;                                 ///< of the index file; empty without one
  std::vector<std::string> files;                   ///< names inside of the folder
  std::map<std::string, std::string> tensor_files;  ///< tensor name to file name
};

/// `model.safetensors`, else the shards that `model.safetensors.index.json` names. Throws StartupError when neither is
/// there (with advice when the weights are there in another format), or when the index is corrupt or points outside of
/// the folder.
ShardIndex find_shards(const std::string& folder);

/// Whether the folder has all of its weights: the single file, or the index and every shard that it names. Throws
/// StartupError for a corrupt index.
bool has_all_shards(const std::string& folder);

}  // namespace krait
