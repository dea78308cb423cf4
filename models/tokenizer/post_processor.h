#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/tokenizer/load_context.h"

namespace krait {

/// Puts the special tokens around an encoded text.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  [[nodiscard]] virtual std::vector<std::int32_t> process(std::vector<std::int32_t> ids) const = 0;
};

/// Of tokenizer.json's `post_processor`: ByteLevel (which only moves offsets, so nothing here), TemplateProcessing,
/// RobertaProcessing, BertProcessing, Sequence; null gives a null pointer. Throws StartupError.
std::unique_ptr<PostProcessor> make_post_processor(const nlohmann::json& description, const LoadContext& context);

}  // namespace krait
