#pragma once

#include <memory>

#include "models/config/config_reader.h"
#include "models/model.h"

namespace krait {

// One function a family, each in its own file. They throw StartupError for a config that they cannot serve.
std::unique_ptr<Model> make_bailing_hybrid(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_bamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_deepseek_v3(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_falcon_h1(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_falcon_mamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_gemma3(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_gpt_oss(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_granite_moe_hybrid(const ConfigReader& reader, ModelConfig config,
                                               const LayerContext& context);
std::unique_ptr<Model> make_jamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_kimi_linear(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_lfm2(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_lfm2_moe(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_lfm3(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_llama(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_mamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_mamba2(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_minimax(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_mistral(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_nemotron_h(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_olmo_hybrid(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_plamo2(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_qwen3(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_qwen3_5(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_qwen3_5_moe(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_qwen3_next(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_recurrent_gemma(const ConfigReader& reader, ModelConfig config,
                                            const LayerContext& context);
std::unique_ptr<Model> make_zamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_zamba2(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_zaya(const ConfigReader& reader, ModelConfig config, const LayerContext& context);

}  // namespace krait
