#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/tokenizer/load_context.h"

namespace krait {

/// Tokens with the number of the text that each belongs to (the models of old that read pairs of texts ask for it).
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> type_ids;  ///< one for each id

  void append(std::int32_t id, std::int32_t type) {
    ids.push_back(id);
    type_ids.push_back(type);
  }
  void append(const Encoding& other);
};

/// Puts the special tokens around one encoded text, or around each of two.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  /// What comes out may be more stretches than went in; joined, they are the result.
  [[nodiscard]] virtual std::vector<Encoding> process(std::vector<Encoding> texts, bool add_special_tokens) const = 0;
};

/// Of tokenizer.json's `post_processor`: ByteLevel (which only moves offsets, so nothing here), TemplateProcessing,
/// RobertaProcessing, BertProcessing, Sequence; null gives a null pointer. Throws StartupError.
std::unique_ptr<PostProcessor> make_post_processor(const nlohmann::json& description, const LoadContext& context);

/// For "TemplateProcessing" only.
std::unique_ptr<PostProcessor> make_template_processor(const nlohmann::json& description, const LoadContext& context);

}  // namespace krait
