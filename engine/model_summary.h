#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/packed_weight.h"

namespace krait {

/// Layers of one kind that were given the same backend.
struct LayerKindSummary {
  std::string kind;     ///< "mamba2", "full_attention", …
  std::string backend;  ///< "mamba2", "paged_attention", …
  int layers = 0;
};

/// Layers that share one cache: their spec, and what it costs.
struct CacheGroupSummary {
  std::string kind;
  std::string spec;  ///< "8 KV heads of 128, bfloat16"
  std::string backend;
  int layers = 0;
  int block_size = 0;                 ///< tokens a page; 0 for recurrent state
  std::size_t bytes_per_token = 0;    ///< of all its layers
  std::size_t bytes_per_request = 0;  ///< of all its layers
};

/// What fits the cache budget.
struct CacheCapacity {
  std::int64_t requests = 0;              ///< as short as can be: a state and one page of every KV group
  std::int64_t requests_of_full_len = 0;  ///< of max_model_len tokens each
  int usual_tokens = 0;                   ///< 4,096, or max_model_len if that is less: a request to count by
  std::int64_t requests_of_usual_len = 0;
  std::size_t usual_request_bytes = 0;  ///< pages and state of one
  /// Tokens that one request alone could have; nullopt for a model without KV, whose requests may be of any length.
  std::optional<std::int64_t> tokens;
};

/// What `krait info` and the start-up summary print.
struct ModelSummary {
  std::string name;  ///< last component of the path
  std::string path;
  std::string architecture;
  std::string family;  ///< as people call it
  std::string platform;
  std::string device_note;  ///< of `--device auto`: why the platform is the processor's; else empty
  DType compute_dtype = DType::kFloat32;
  /// How the checkpoint's weights are quantised, as config.json says; empty: not at all.
  std::string quantization;
  /// How the weights are kept here (`--quantization`).
  Quantization weight_quantization = Quantization::kNone;
  bool has_weights = false;  ///< false: the folder has a config and no weights
  std::int64_t parameters = 0;
  std::size_t weight_bytes = 0;  ///< packed; of a plan, by shape and dtype
  /// Of those, tables of which a token reads one row (embeddings): a step does not stream them.
  std::size_t lookup_bytes = 0;
  std::int64_t head_parameters = 0;    ///< of the parameters: the head that makes logits
  std::int64_t lookup_parameters = 0;  ///< embeddings, where the head is not tied to them
  std::size_t read_bytes = 0;          ///< of the checkpoint, and how long reading and packing them took
  double read_seconds = 0.0;
  /// `--packed-weights-dir`: the file that is this model's there; empty: there is no such folder.
  std::string packed_weights_file;
  bool reads_packed_weights = false;  ///< the weights are that file, and `read_bytes` its bytes
  std::string packed_weights_fault;   ///< of a plan: why they will not be; empty: nothing is wrong
  int num_layers = 0;
  std::vector<LayerKindSummary> layer_kinds;
  std::vector<CacheGroupSummary> cache_groups;
  std::size_t state_bytes_per_request = 0;
  std::size_t kv_bytes_per_token = 0;
  std::size_t cache_budget_bytes = 0;
  CacheCapacity cache_capacity;
  int vocab_size = 0;
  int max_model_len = 0;
  std::vector<std::int32_t> eos_token_ids;
};

}  // namespace krait
