#include "models/config/model_config.h"

#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "models/config/config_reader.h"

namespace krait {
namespace {

// Ten times and more of what any published model has: past these a config is corrupt.
constexpr std::int64_t kMaximumHiddenSize = std::int64_t{1} << 20;
constexpr std::int64_t kMaximumVocabSize = std::int64_t{1} << 24;
constexpr std::int64_t kMaximumLayers = 10'000;

/// The key's value, from 1 to `maximum`, which fits an int.
int bounded(const ConfigReader& reader, std::string_view key, std::int64_t maximum) {
  return static_cast<int>(reader.integer(key, 1, maximum));
}

/// `num_hidden_layers`, or the length of the list of layer kinds where the config has only that (nemotron_h).
int read_num_layers(const ConfigReader& reader) {
  if (!reader.has("num_hidden_layers")) {
    std::size_t count = 0;
    if (reader.has("layers_block_type")) {
      count = reader.strings("layers_block_type").size();
    } else if (reader.has("hybrid_override_pattern")) {
      count = reader.string("hybrid_override_pattern").size();
    }
    if (count > 0 && count <= static_cast<std::size_t>(kMaximumLayers)) return static_cast<int>(count);
  }
  return bounded(reader, "num_hidden_layers", kMaximumLayers);
}

/// Only the first name counts: the one that transformers would build.
std::string read_architecture(const ConfigReader& reader) {
  const std::vector<std::string> names = reader.strings("architectures");
  if (names.empty()) reader.fail("architectures", "must name the model's architecture, found an empty list");
  return names.front();
}

/// A floating-point type under the first of `keys` that is present, with or without PyTorch's prefix "torch.".
template <std::size_t N>
std::optional<DType> read_float_dtype(const ConfigReader& reader, const std::array<std::string_view, N>& keys) {
  for (const std::string_view key : keys) {
    if (!reader.has(key)) continue;
    const std::string text = reader.string(key);
    std::string_view name = text;
    if (name.starts_with("torch.")) name.remove_prefix(6);
    const auto dtype = parse_dtype(name);
    if (dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kFloat16) return dtype;
    reader.fail(key, "must be float32, bfloat16 or float16, found \"" + text + "\"");
  }
  return std::nullopt;
}

/// generation_config.json is what HF generation obeys; many chat models list their end-of-turn token only there.
std::vector<std::int32_t> read_eos_token_ids(const ConfigReader& reader, const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "generation_config.json").string();
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    const ConfigReader generation = ConfigReader::from_file(path);
    if (generation.has("eos_token_id")) return generation.token_ids("eos_token_id");
  }
  return reader.token_ids("eos_token_id");
}

}  // namespace

ConfigReader language_model_reader(const ConfigReader& reader) {
  if (reader.has("hidden_size") || !reader.is_object("text_config")) return reader;
  return *reader.object("text_config");
}

ModelConfig read_model_config(const ConfigReader& reader, const std::string& folder, bool tie_word_embeddings_default) {
  const ConfigReader text = language_model_reader(reader);
  // What may stand in both places: the outer one wins, as in transformers.
  const auto holder = [&](std::string_view key) -> const ConfigReader& { return reader.has(key) ? reader : text; };
  ModelConfig config;
  config.file = reader.file();
  config.architecture = read_architecture(reader);
  config.model_type = reader.string("model_type");
  config.hidden_size = bounded(text, "hidden_size", kMaximumHiddenSize);
  config.vocab_size = bounded(text, "vocab_size", kMaximumVocabSize);
  config.num_layers = read_num_layers(text);
  for (const std::string_view key : {"max_position_embeddings", "model_max_length"}) {
    if (!text.has(key)) continue;
    config.max_position_embeddings = bounded(text, key, ConfigReader::kMaximumInteger);
    break;
  }
  config.tie_word_embeddings =
      holder("tie_word_embeddings").boolean_or("tie_word_embeddings", tie_word_embeddings_default);
  constexpr std::array<std::string_view, 2> kDtypeKeys{"dtype", "torch_dtype"};
  config.dtype = read_float_dtype(text, kDtypeKeys);
  if (!config.dtype) config.dtype = read_float_dtype(reader, kDtypeKeys);
  config.ssm_state_dtype =
      read_float_dtype(text, std::array<std::string_view, 2>{"mamba_ssm_dtype", "mamba_ssm_cache_dtype"});
  config.eos_token_ids = read_eos_token_ids(holder("eos_token_id"), folder);
  return config;
}

}  // namespace krait
