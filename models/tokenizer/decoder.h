#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/tokenizer/load_context.h"

namespace krait {

/// Turns the spellings of tokens back into text.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// One step of the chain: a list of strings in, a list out whose concatenation is the text. The strings may hold
  /// bytes that are not yet valid UTF-8; the tokenizer repairs the whole at the end.
  [[nodiscard]] virtual std::vector<std::string> decode_chain(std::vector<std::string> tokens) const = 0;
};

/// Of tokenizer.json's `decoder`: ByteLevel, Sequence. Throws StartupError.
std::unique_ptr<Decoder> make_decoder(const nlohmann::json& description, const LoadContext& context);

}  // namespace krait
