#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "server/cli/capacity_words.h"
#include "server/cli/commands.h"
#include "server/cli/loading.h"
#include "server/cli/server_options.h"
#include "server/cli/sizes.h"
#include "server/cli/supported_families.h"

namespace krait::server {
namespace {

using nlohmann::json;

json layers_json(const ModelSummary& summary) {
  json layers = json::array();
  for (const LayerKindSummary& kind : summary.layer_kinds) {
    layers.push_back({{"kind", kind.kind}, {"backend", kind.backend}, {"layers", kind.layers}});
  }
  return layers;
}

json groups_json(const ModelSummary& summary) {
  json groups = json::array();
  for (const CacheGroupSummary& group : summary.cache_groups) {
    groups.push_back({{"kind", group.kind},
                      {"spec", group.spec},
                      {"backend", group.backend},
                      {"layers", group.layers},
                      {"block_size", group.block_size},
                      {"bytes_per_token", group.bytes_per_token},
                      {"bytes_per_request", group.bytes_per_request}});
  }
  return groups;
}

json capacity_json(const CacheCapacity& capacity) {
  return {{"requests", capacity.requests},
          {"requests_of_max_model_len", capacity.requests_of_full_len},
          {"usual_tokens", capacity.usual_tokens},
          {"requests_of_usual_tokens", capacity.requests_of_usual_len},
          {"tokens", capacity.tokens ? json(*capacity.tokens) : json(nullptr)}};
}

json defaults_json(const SamplingDefaults& defaults) {
  json object = json::object();
  const auto add = [&](const char* name, const auto& value) {
    if (value) object[name] = *value;
  };
  add("temperature", defaults.temperature);
  add("top_k", defaults.top_k);
  add("top_p", defaults.top_p);
  add("min_p", defaults.min_p);
  add("repetition_penalty", defaults.repetition_penalty);
  add("max_tokens", defaults.max_tokens);
  return object;
}

json packed_weights_json(const ModelSummary& summary) {
  if (summary.packed_weights_file.empty()) return nullptr;
  const std::string& fault = summary.packed_weights_fault;
  return {{"file", summary.packed_weights_file},
          {"usable", fault.empty()},
          {"fault", fault.empty() ? json(nullptr) : json(fault)}};
}

json to_json(const ModelSummary& summary) {
  return {{"name", summary.name},
          {"path", summary.path},
          {"architecture", summary.architecture},
          {"family", summary.family},
          {"platform", summary.platform},
          {"compute_dtype", dtype_name(summary.compute_dtype)},
          {"quantization", summary.quantization.empty() ? json(nullptr) : json(summary.quantization)},
          {"weight_quantization", quantization_name(summary.weight_quantization)},
          {"has_weights", summary.has_weights},
          {"parameters", summary.parameters},
          {"weight_bytes", summary.weight_bytes},
          {"packed_weights", packed_weights_json(summary)},
          {"num_layers", summary.num_layers},
          {"layer_kinds", layers_json(summary)},
          {"cache_groups", groups_json(summary)},
          {"state_bytes_per_request", summary.state_bytes_per_request},
          {"kv_bytes_per_token", summary.kv_bytes_per_token},
          {"cache_budget_bytes", summary.cache_budget_bytes},
          {"cache_capacity", capacity_json(summary.cache_capacity)},
          {"vocab_size", summary.vocab_size},
          {"max_model_len", summary.max_model_len},
          {"eos_token_ids", summary.eos_token_ids}};
}

/// "7.24 B (7241732096)".
std::string parameter_words(std::int64_t parameters) {
  char text[32];
  const auto count = static_cast<double>(parameters);
  const bool billions = parameters >= 1'000'000'000;
  std::snprintf(text, sizeof text, "%.2f %s", count / (billions ? 1e9 : 1e6), billions ? "B" : "M");
  return std::string(text) + " (" + std::to_string(parameters) + ")";
}

std::string group_words(const CacheGroupSummary& group) {
  const std::string cost = group.block_size > 0 ? "blocks of " + std::to_string(group.block_size) + " tokens, " +
                                                      format_byte_size(group.bytes_per_token) + " a token"
                                                : format_byte_size(group.bytes_per_request) + " a request";
  return std::to_string(group.layers) + " × " + group.kind + " (" + group.spec + ") by " + group.backend + ": " + cost;
}

void print_text(const ModelSummary& summary, const SamplingDefaults& defaults) {
  const auto line = [](const char* name, const std::string& value) { std::printf("%-20s %s\n", name, value.c_str()); };
  line("model", summary.name + " (" + summary.path + ")");
  line("family", summary.family);
  line("architecture", summary.architecture);
  line("platform", summary.platform + ", computes in " + std::string(dtype_name(summary.compute_dtype)));
  line("layers", std::to_string(summary.num_layers));
  for (const LayerKindSummary& kind : summary.layer_kinds) {
    line("", std::to_string(kind.layers) + " × " + kind.kind + " by " + kind.backend);
  }
  line("cache groups", std::to_string(summary.cache_groups.size()));
  for (const CacheGroupSummary& group : summary.cache_groups) line("", group_words(group));
  line("parameters", parameter_words(summary.parameters));
  if (!summary.quantization.empty()) line("quantisation", summary.quantization);
  const bool quantized = summary.weight_quantization != Quantization::kNone;
  line("weights", format_byte_size(summary.weight_bytes) +
                      (quantized ? " in " + std::string(quantization_name(summary.weight_quantization)) : "") +
                      (summary.has_weights ? "" : " (from config.json alone: the folder has no weights)"));
  if (!summary.packed_weights_file.empty()) {
    line("packed weights",
         summary.packed_weights_fault.empty() ? summary.packed_weights_file : summary.packed_weights_fault);
  }
  line("state per request", format_byte_size(summary.state_bytes_per_request));
  line("KV per token", format_byte_size(summary.kv_bytes_per_token));
  line("cache", capacity_words(summary));
  line("", at_once_words(summary));
  line("context", std::to_string(summary.max_model_len) + " tokens");
  line("vocabulary", std::to_string(summary.vocab_size));
  if (const std::string words = defaults.describe(); !words.empty()) line("default sampling", words);
}

}  // namespace

int run_info(const CommandInput& input, const InfoFlags& flags) {
  const bool json_wanted = flags.json || flags.format == "json";
  if (flags.supported) {
    std::cout << (json_wanted ? supported_json().dump(2) + "\n" : supported_markdown());
    return 0;
  }
  const std::string folder = resolve_model_or_throw(input);
  const SamplingDefaults defaults = make_sampling_defaults(input.values, folder);
  const ModelSummary summary = plan_model(make_load_options(input.values, folder));
  if (json_wanted) {
    json object = to_json(summary);
    object["sampling_defaults"] = defaults_json(defaults);
    std::cout << object.dump(2) << "\n";
  } else {
    print_text(summary, defaults);
  }
  return 0;
}

}  // namespace krait::server
