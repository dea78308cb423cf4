#pragma once

#include <memory>
#include <string>

#include "kernels/result.h"
#include "models/tokenizer/load_context.h"

namespace krait {

/// Text on its way through the normalizers.
struct NormalizedText {
  std::string text;
  /// How many bytes at the front stand for the first character of what the user wrote, because a Metaspace with
  /// `prepend_scheme: first` asks whether a piece begins there. 0 when that character is gone, or for a section that is
  /// not the first.
  std::size_t head = 0;
};

/// Rewrites a stretch of text (between non-normalized added tokens) before it is split.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Valid UTF-8 in, valid UTF-8 out. Fails when a pattern takes absurdly many steps.
  virtual Status normalize(NormalizedText& text) const = 0;
};

/// Of tokenizer.json's `normalizer`; null gives a null pointer. Throws StartupError.
std::unique_ptr<Normalizer> make_normalizer(const nlohmann::json& description, const LoadContext& context);

/// One factory per file; each is for the types in its name only, and gives a null pointer for others.
std::unique_ptr<Normalizer> make_character_normalizer(const std::string& type, const nlohmann::json& description,
                                                      const LoadContext& context);
std::unique_ptr<Normalizer> make_replace_normalizer(const nlohmann::json& description, const LoadContext& context);
std::unique_ptr<Normalizer> make_precompiled_normalizer(const nlohmann::json& description, const LoadContext& context);

}  // namespace krait
