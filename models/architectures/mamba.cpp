#include "models/architectures/families.h"

namespace krait {

std::unique_ptr<Model> make_falcon_mamba(const ConfigReader& reader, ModelConfig config,
                                         const LayerContext& /*context*/) {
  reader.fail("architectures", "names '" + config.architecture + "', which is not built yet");
}

std::unique_ptr<Model> make_mamba(const ConfigReader& reader, ModelConfig config, const LayerContext& /*context*/) {
  reader.fail("architectures", "names '" + config.architecture + "', which is not built yet");
}

}  // namespace krait
