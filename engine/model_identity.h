#pragma once

#include <cstdint>
#include <string>

namespace krait {

class Checkpoint;
struct LoadOptions;
struct ModelPlan;

/// ContextIdentity::model: of config.json, every option that changes the model's numbers, and the checkpoint's tensors:
/// their names, shapes and types, and a sample of their bytes. Cheap: reads at most some hundred pages of the weights.
std::uint64_t hash_model(const LoadOptions& options, const ModelPlan& plan, const Checkpoint& checkpoint);

/// PackedWeightsPlace::file_name of a model folder and the flags that change its packed weights: a name that people
/// recognise, and a hash.
std::string packed_weights_file_name(const LoadOptions& options, const ModelPlan& plan);

/// PackedWeightsPlace::identity: of config.json, the checkpoint's tensors as above, size and times of each of its files
/// as they were opened, and every option and version that changes what is packed. Whatever is written to the
/// checkpoint's files changes it.
std::uint64_t hash_packed_weights(const LoadOptions& options, const ModelPlan& plan, const Checkpoint& checkpoint);

/// Whether the checkpoint's files still are those that were opened.
bool is_unchanged(const Checkpoint& checkpoint);

/// ContextIdentity::formats: of what lies inside of pages and slots.
std::uint64_t hash_cache_formats(const ModelPlan& plan);

}  // namespace krait
