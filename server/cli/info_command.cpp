#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "server/cli/commands.h"
#include "server/cli/loading.h"
#include "server/cli/server_options.h"
#include "server/cli/sizes.h"

namespace krait::server {
namespace {

nlohmann::json to_json(const ModelSummary& summary) {
  nlohmann::json layers = nlohmann::json::array();
  for (const LayerKindSummary& kind : summary.layer_kinds) {
    layers.push_back({{"kind", kind.kind}, {"backend", kind.backend}, {"layers", kind.layers}});
  }
  return {{"name", summary.name},
          {"path", summary.path},
          {"architecture", summary.architecture},
          {"platform", summary.platform},
          {"compute_dtype", dtype_name(summary.compute_dtype)},
          {"parameters", summary.parameters},
          {"weight_bytes", summary.weight_bytes},
          {"num_layers", summary.num_layers},
          {"layer_kinds", std::move(layers)},
          {"state_bytes_per_request", summary.state_bytes_per_request},
          {"kv_bytes_per_token", summary.kv_bytes_per_token},
          {"vocab_size", summary.vocab_size},
          {"max_model_len", summary.max_model_len},
          {"eos_token_ids", summary.eos_token_ids}};
}

void print_text(const ModelSummary& summary) {
  const auto line = [](const char* name, const std::string& value) { std::printf("%-20s %s\n", name, value.c_str()); };
  line("model", summary.name + " (" + summary.path + ")");
  line("architecture", summary.architecture);
  line("platform", summary.platform + ", computes in " + std::string(dtype_name(summary.compute_dtype)));
  line("layers", std::to_string(summary.num_layers));
  for (const LayerKindSummary& kind : summary.layer_kinds) {
    line("", std::to_string(kind.layers) + " × " + kind.kind + " by " + kind.backend);
  }
  line("parameters", std::to_string(summary.parameters));
  line("weights", format_byte_size(summary.weight_bytes));
  line("state per request", format_byte_size(summary.state_bytes_per_request));
  line("KV per token", format_byte_size(summary.kv_bytes_per_token));
  line("context", std::to_string(summary.max_model_len) + " tokens");
  line("vocabulary", std::to_string(summary.vocab_size));
}

}  // namespace

int run_info(const CommandInput& input, bool json) {
  const ModelSummary summary = plan_model(make_load_options(input.values, resolve_model_or_throw(input)));
  if (json)
    std::cout << to_json(summary).dump(2) << "\n";
  else
    print_text(summary);
  return 0;
}

}  // namespace krait::server
