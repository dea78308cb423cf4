#pragma once

#include <memory>

#include "models/config/config_reader.h"
#include "models/model.h"

namespace krait {

std::unique_ptr<Model> make_granite_moe_hybrid(const ConfigReader& reader, ModelConfig config,
                                               const LayerContext& context);
std::unique_ptr<Model> make_llama(const ConfigReader& reader, ModelConfig config, const LayerContext& context);
std::unique_ptr<Model> make_mamba2(const ConfigReader& reader, ModelConfig config, const LayerContext& context);

}  // namespace krait
