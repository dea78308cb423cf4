#pragma once

#include "models/tokenizer/load_context.h"

namespace krait {

/// What the pre-tokenizer and the decoder of this name share: blanks are written as a visible character, and one may
/// stand before the text.
struct Metaspace {
  enum class Prepend {
    kAlways,  ///< before each piece
    kFirst,   ///< before a piece that starts where the user's text does
    kNever,
  };
  char32_t replacement = U'\x2581';
  Prepend prepend = Prepend::kAlways;
  bool split = true;  ///< cut before each replacement

  /// From `kind`, a pre-tokenizer or a decoder, in the spelling of today (`prepend_scheme`) or the old one
  /// (`add_prefix_space`). Throws StartupError.
  static Metaspace read(const nlohmann::json& description, const std::string& kind, const LoadContext& context);
};

}  // namespace krait
