#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/result.h"
#include "models/tokenizer/tokenizer.h"

namespace krait::server {

// Each answers one line of `krait tokenize`. A field that is unknown, missing or of another type is an error that names
// it, and so is an id outside 0 … 2^31-1; an id that the vocabulary lacks gives no text.

/// {"text": …, "add_special_tokens": true} → {"ids": […], "tokens": […]}; tokens as tokenizer.json spells them.
Result<nlohmann::ordered_json> answer_tokenize(const nlohmann::ordered_json& line, const Tokenizer& tokenizer);

/// {"ids": […], "skip_special_tokens": true} → {"text": …}.
Result<nlohmann::ordered_json> answer_detokenize(const nlohmann::ordered_json& line, const Tokenizer& tokenizer);

/// {"ids": […], "skip_special_tokens": true} → {"pieces": […]}: what a stream would emit after each token, and a last
/// piece for its end.
Result<nlohmann::ordered_json> answer_stream_detokenize(const nlohmann::ordered_json& line,
                                                        const std::shared_ptr<const Tokenizer>& tokenizer);

}  // namespace krait::server
