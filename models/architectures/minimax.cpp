#include "models/architectures/families.h"

namespace krait {

std::unique_ptr<Model> make_minimax(const ConfigReader& reader, ModelConfig config, const LayerContext& /*context*/) {
  reader.fail("architectures", "names '" + config.architecture + "', which is not built yet");
}

}  // namespace krait
