#pragma once

#include <cstdint>

namespace krait {

class Checkpoint;
struct LoadOptions;
struct ModelPlan;

/// ContextIdentity::model: of config.json, every option that changes the model's numbers, and the checkpoint's tensors:
/// their names, shapes and types, and a sample of their bytes. Cheap: reads at most some hundred pages of the weights.
std::uint64_t hash_model(const LoadOptions& options, const ModelPlan& plan, const Checkpoint& checkpoint);

/// ContextIdentity::formats: of what lies inside of pages and slots.
std::uint64_t hash_cache_formats(const ModelPlan& plan);

}  // namespace krait
