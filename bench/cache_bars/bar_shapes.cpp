#include "bench/cache_bars/bar_shapes.h"

#include "bench/shapes/published_shapes.h"

namespace krait::bench {

nlohmann::json shape_350m() { return published_shape("granite-4.0-h-350m"); }

nlohmann::json shape_small() {
  nlohmann::json config = shape_350m();
  config.update({{"num_hidden_layers", 4},
                 {"layer_types", {"mamba", "mamba", "attention", "mamba"}},
                 {"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"shared_intermediate_size", 96},
                 {"mamba_n_heads", 8},
                 {"mamba_d_head", 16},
                 {"mamba_d_state", 16},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"vocab_size", 1024}});
  return config;
}

}  // namespace krait::bench
