#pragma once

#include <cstddef>
#include <memory>

#include "engine/model_summary.h"
#include "engine/runner/model_runner.h"
#include "kernels/platform.h"
#include "models/model.h"

namespace krait {

class Checkpoint;
struct LoadOptions;
struct PackedWeightsPlace;

/// Everything that is known before the weights: the model built from its config, its groups and its runner.
struct ModelPlan {
  std::unique_ptr<Platform> platform;
  std::unique_ptr<Model> model;
  std::unique_ptr<ModelRunner> runner;
  ModelSummary summary;
};

/// Reads the config and chooses the backends. Throws StartupError.
ModelPlan make_model_plan(const LoadOptions& options);

/// The model's file in `--packed-weights-dir`, which is given.
PackedWeightsPlace packed_weights_place(const LoadOptions& options, const ModelPlan& plan,
                                        const Checkpoint& checkpoint);

/// Sets the summary's budget and what fits it. `available` bytes are free of everything but the caches.
void plan_caches(const LoadOptions& options, std::size_t available, ModelPlan& plan);

}  // namespace krait
