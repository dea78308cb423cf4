#pragma once

#include <memory>
#include <string>

#include "models/tokenizer/load_context.h"

namespace krait {

/// Rewrites a stretch of text (between non-normalized added tokens) before it is split.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Valid UTF-8 in, valid UTF-8 out.
  [[nodiscard]] virtual std::string normalize(std::string text) const = 0;
};

/// Of tokenizer.json's `normalizer`: NFC, NFD, NFKC, NFKD, Lowercase, Sequence; null gives a null pointer. Throws
/// StartupError.
std::unique_ptr<Normalizer> make_normalizer(const nlohmann::json& description, const LoadContext& context);

}  // namespace krait
