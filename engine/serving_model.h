#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/device_choice.h"
#include "engine/engine.h"
#include "engine/model_summary.h"
#include "kernels/dtype.h"
#include "kernels/packed_weight.h"
#include "models/backends/mamba_config.h"

namespace krait {

class Model;
class ModelRunner;
class PackedWeightCache;
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
  DeviceChoice device;     ///< the processor, if nothing is said; the command line's default is `auto`
  int threads = 0;         ///< 0: all cores
  std::string cpu_isa = "auto";
  std::string numa = "off";                         ///< `--numa`, as CpuOptions has it
  std::string cpu_pinning = "off";                  ///< `--cpu-pinning`
  std::optional<DType> compute_dtype;               ///< nullopt: the platform's default
  std::optional<DType> kv_cache_dtype;              ///< nullopt: float32 if it is computed in float32, else bfloat16
  Quantization quantization = Quantization::kNone;  ///< of weights that the checkpoint has unquantised
  /// `--packed-weights-dir`: where packed weights are kept for the next start; empty: nowhere.
  std::string packed_weights_dir;
  /// They are written while the model serves, and given up when it ends; false: before it is loaded.
  bool write_packed_weights_behind = false;
  MambaConfig mamba;
  std::string attention_backend = "native";  ///< `--attention-backend`
  CacheMemory cache_memory;
  int block_size = 16;
  /// `--enable-prefix-caching`; a model with recurrent state reuses nothing in the mode `none`.
  bool enable_prefix_caching = true;
  /// `--cache-dir`: where prefixes are kept on disk; empty: nowhere.
  std::string cache_dir;
  std::size_t cache_dir_bytes = std::size_t{16} << 30U;  ///< `--cache-dir-size`
  /// Is told of what an operator should know while the engine runs, on a thread of the engine; may be empty.
  std::function<void(const std::string&)> on_warning;
  /// And of what he may want to know.
  std::function<void(const std::string&)> on_note;
  SnapshotConfig snapshots{};  ///< its block_size is the one above
  /// `--mamba-snapshot-dtype`: what snapshots keep of float32 states; nullopt: all of them.
  std::optional<DType> snapshot_dtype;
  bool enforce_eager = false;  ///< `--enforce-eager`: no graphs, where the platform has them
  int max_num_seqs = 64;
  int max_num_batched_tokens = 2048;
  int max_queue = 1024;
  std::size_t swap_bytes = 0;        ///< `--swap-memory`
  double target_itl_ms = 0;          ///< `--target-itl-ms`; 0: chosen by what steps take
  std::optional<int> max_model_len;  ///< nullopt: the model's own maximum
  std::function<void(const LoadProgress&)> on_progress;
  /// Tests put a platform of their own in; null: that of `device`.
  std::function<std::unique_ptr<Platform>()> make_platform;
  /// Tests reach the runner through it before the engine starts (fault injection).
  std::function<void(ModelRunner&)> configure_runner;
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
  std::unique_ptr<PackedWeightCache> packed_weights_;  ///< that still may be written; null: none
  ModelSummary summary_;
};

/// What a model is made of and what it will cost, without loading it (`krait info`): from config.json and, where the
/// folder has weights, their headers. Throws StartupError.
ModelSummary plan_model(const LoadOptions& options);

}  // namespace krait
