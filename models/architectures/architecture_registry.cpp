#include "models/architectures/architecture_registry.h"

#include <array>
#include <filesystem>
#include <string>

#include "kernels/result.h"
#include "models/architectures/families.h"

namespace krait {
namespace {

constexpr std::array kArchitectures = {
    Architecture{"BailingHybridForCausalLM", "bailing_hybrid", "Ling 2.5 / Bailing hybrid", "kda_attention + mla",
                 &make_bailing_hybrid, true},
    Architecture{"BambaForCausalLM", "bamba", "Bamba", "mamba2 + full_attention", &make_bamba, true},
    Architecture{"DeepseekV3ForCausalLM", "deepseek_v3", "DeepSeek-V3", "mla", &make_deepseek_v3, true},
    Architecture{"FalconH1ForCausalLM", "falcon_h1", "Falcon-H1", "mamba2 + full_attention", &make_falcon_h1, true},
    Architecture{"FalconMambaForCausalLM", "falcon_mamba", "Falcon Mamba", "mamba1", &make_falcon_mamba, true, true},
    Architecture{"Gemma3ForCausalLM", "gemma3_text gemma3", "Gemma 3", "sliding_window + full_attention", &make_gemma3,
                 true, true},
    Architecture{"GptOssForCausalLM", "gpt_oss", "gpt-oss", "sliding_window + full_attention", &make_gpt_oss, true},
    Architecture{"GraniteMoeHybridForCausalLM", "granitemoehybrid", "Granite 4", "mamba2 + full_attention",
                 &make_granite_moe_hybrid, true},
    Architecture{"JambaForCausalLM", "jamba", "Jamba", "mamba1 + full_attention", &make_jamba, true},
    Architecture{"KimiLinearForCausalLM", "kimi_linear", "Kimi Linear", "kda_attention + mla", &make_kimi_linear, true},
    Architecture{"Lfm2ForCausalLM", "lfm2", "LFM2", "short_conv + full_attention", &make_lfm2, true, true},
    Architecture{"Lfm2MoeForCausalLM", "lfm2_moe", "LFM2 MoE", "short_conv + full_attention", &make_lfm2_moe, true,
                 true},
    Architecture{"Lfm3ForCausalLM", "lfm3", "LFM3", "short_conv + full_attention + sliding_window", &make_lfm3, true,
                 true},
    Architecture{"LlamaForCausalLM", "llama", "Llama", "full_attention", &make_llama, true},
    Architecture{"Mamba2ForCausalLM", "mamba2", "Mamba-2", "mamba2", &make_mamba2, true},
    Architecture{"MambaForCausalLM", "mamba", "Mamba", "mamba1", &make_mamba, true, true},
    Architecture{"MiniMaxForCausalLM", "minimax", "MiniMax", "linear_attention + full_attention", &make_minimax, true},
    Architecture{"MistralForCausalLM", "mistral", "Mistral", "full_attention + sliding_window", &make_mistral, true},
    Architecture{"NemotronHForCausalLM", "nemotron_h", "Nemotron-H, Nemotron 3", "mamba2 + full_attention",
                 &make_nemotron_h, true},
    Architecture{"OlmoHybridForCausalLM", "olmo_hybrid", "OLMo Hybrid", "gdn_attention + full_attention",
                 &make_olmo_hybrid, true},
    Architecture{"Plamo2ForCausalLM", "plamo2", "PLaMo 2", "mamba2 + sliding_window + full_attention", &make_plamo2,
                 false, true},
    Architecture{"Qwen3_5ForCausalLM", "qwen3_5_text qwen3_5", "Qwen3.5", "gdn_attention + full_attention",
                 &make_qwen3_5, true},
    Architecture{"Qwen3_5ForConditionalGeneration", "qwen3_5 qwen3_5_text", "Qwen3.5 (multimodal layout, text only)",
                 "gdn_attention + full_attention", &make_qwen3_5, true},
    Architecture{"Qwen3_5MoeForCausalLM", "qwen3_5_moe_text qwen3_5_moe", "Qwen3.5 MoE",
                 "gdn_attention + full_attention", &make_qwen3_5_moe, true},
    Architecture{"Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe qwen3_5_moe_text",
                 "Qwen3.5 MoE (multimodal layout, text only)", "gdn_attention + full_attention", &make_qwen3_5_moe,
                 true},
    Architecture{"Qwen3ForCausalLM", "qwen3", "Qwen3", "full_attention", &make_qwen3, true},
    Architecture{"Qwen3NextForCausalLM", "qwen3_next", "Qwen3-Next", "gdn_attention + full_attention", &make_qwen3_next,
                 true},
    Architecture{"RecurrentGemmaForCausalLM", "recurrent_gemma", "RecurrentGemma (Griffin)", "rg_lru + sliding_window",
                 &make_recurrent_gemma, true, true},
    Architecture{"Zamba2ForCausalLM", "zamba2", "Zamba2", "mamba2 + full_attention", &make_zamba2, true, true},
    Architecture{"ZambaForCausalLM", "zamba", "Zamba", "mamba1 + full_attention", &make_zamba, true, true},
    Architecture{"ZayaForCausalLM", "zaya", "ZAYA1", "full_attention + sliding_window + short_conv", &make_zaya, true,
                 true},
};

/// The entry that the config's first name asks for; null for an unknown one.
const Architecture* find_architecture(const ConfigReader& reader) {
  const std::vector<std::string> names = reader.strings("architectures");
  for (const Architecture& architecture : kArchitectures) {
    if (!names.empty() && architecture.hf_name == names.front()) return &architecture;
  }
  return nullptr;
}

ModelConfig read_config(const ConfigReader& reader, const std::string& folder) {
  const Architecture* architecture = find_architecture(reader);
  return read_model_config(reader, folder, architecture != nullptr && architecture->tie_word_embeddings);
}

/// Two statements of one thing that disagree: a config of another family under this name would give wrong numbers.
void check_model_type(const Architecture& architecture, const ConfigReader& reader, const std::string& found) {
  const std::string valid(architecture.model_types);
  if ((" " + valid + " ").find(" " + found + " ") != std::string::npos) return;
  reader.fail("model_type", "is '" + found + "', which is no type of " + std::string(architecture.hf_name) +
                                ". Valid: " + valid.substr(0, valid.find(' ')));
}

/// A layer that cannot be built knows its name, but not the file that asks for it.
std::unique_ptr<Model> make_known(const Architecture& architecture, const ConfigReader& reader, ModelConfig config,
                                  const LayerContext& context) {
  try {
    return architecture.make(language_model_reader(reader), std::move(config), context);
  } catch (const StartupError& fault) {
    Error error = fault.error();
    if (error.message.find(reader.file()) == std::string::npos) error.message = reader.file() + ": " + error.message;
    throw StartupError(std::move(error));
  }
}

std::string config_path(const std::string& folder) { return (std::filesystem::path(folder) / "config.json").string(); }

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

ModelConfig peek_model_config(const std::string& folder) {
  return read_config(ConfigReader::from_file(config_path(folder)), folder);
}

std::unique_ptr<Model> make_model(const std::string& folder, const LayerContext& context) {
  const ConfigReader reader = ConfigReader::from_file(config_path(folder));
  ModelConfig config = read_config(reader, folder);
  const Architecture* known = find_architecture(reader);
  if (known != nullptr) {
    check_model_type(*known, reader, config.model_type);
    return make_known(*known, reader, std::move(config), context);
  }
  std::string names;
  for (const Architecture& architecture : kArchitectures) {
    names += (names.empty() ? "" : ", ") + std::string(architecture.hf_name);
  }
  reader.fail("architectures",
              "names '" + config.architecture + "', which this version does not know. Known architectures: " + names);
}

}  // namespace krait
