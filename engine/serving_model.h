#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "kernels/dtype.h"
#include "models/backends/mamba_config.h"

namespace krait {

class Model;
class ModelRunner;
class Platform;

/// `--cache-memory`: bytes, or a share of what is free after the weights.
struct CacheMemory {
  std::optional<std::size_t> bytes;
  double share = 0.5;
};

struct LoadProgress {
  std::size_t bytes_done = 0;
  std::size_t bytes_total = 0;
};

struct LoadOptions {
  std::string model_path;  ///< a folder with config.json and safetensors
  int threads = 0;         ///< 0: all cores
  std::string cpu_isa = "auto";
  std::optional<DType> compute_dtype;  ///< nullopt: the platform's default
  MambaConfig mamba;
  CacheMemory cache_memory;
  int block_size = 16;
  int max_num_seqs = 64;
  int max_num_batched_tokens = 2048;
  int max_queue = 1024;
  std::optional<int> max_model_len;  ///< nullopt: the model's own maximum
  std::function<void(const LoadProgress&)> on_progress;
  /// Tests put a platform of their own in; null: the CPU platform.
  std::function<std::unique_ptr<Platform>()> make_platform;
  /// Tests reach the runner through it before the engine starts (fault injection).
  std::function<void(ModelRunner&)> configure_runner;
};

/// Layers of one kind that were given the same backend, for summaries.
struct LayerKindSummary {
  std::string kind;     ///< "mamba2", "full_attention", …
  std::string backend;  ///< "mamba2", "paged_attention", …
  int layers = 0;
};

/// What `krait info` and the start-up summary print.
struct ModelSummary {
  std::string name;  ///< last component of the path
  std::string path;
  std::string architecture;
  std::string platform;
  DType compute_dtype = DType::kFloat32;
  std::int64_t parameters = 0;
  std::size_t weight_bytes = 0;  ///< packed
  int num_layers = 0;
  std::vector<LayerKindSummary> layer_kinds;
  std::size_t state_bytes_per_request = 0;
  std::size_t kv_bytes_per_token = 0;
  std::size_t cache_budget_bytes = 0;
  int vocab_size = 0;
  int max_model_len = 0;
  std::vector<std::int32_t> eos_token_ids;
};

/// A loaded model and its running engine.
class ServingModel {
 public:
  /// Throws StartupError.
  static std::unique_ptr<ServingModel> load(const LoadOptions& options);
  ~ServingModel();

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] const ModelSummary& summary() const { return summary_; }

 private:
  ServingModel();
  // Destroyed bottom up: the engine's thread first, the platform last.
  std::unique_ptr<Platform> platform_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Engine> engine_;
  ModelSummary summary_;
};

/// The plan of a model from its config.json alone, without weights (`krait info`). Throws StartupError.
ModelSummary plan_model(const LoadOptions& options);

}  // namespace krait
