#pragma once

#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/json_text.h"
#include "server/service/tokenization.h"

namespace krait::server {

/// Reads the body of POST /tokenize, as vLLM has it: `prompt` (text), or `messages` with the fields that shape a chat's
/// prompt; `add_special_tokens` (true for a prompt, false for messages), `return_token_strs`. Fields that are not known
/// are added to `ignored_fields`.
Result<TokenizeRequest> parse_tokenize_request(const Json& body, std::vector<std::string>& ignored_fields);
/// POST /detokenize: `tokens`.
Result<DetokenizeRequest> parse_detokenize_request(const Json& body, std::vector<std::string>& ignored_fields);
/// {"count", "max_model_len", "tokens", "token_strs"}; the last is null unless the strings were asked for.
Json tokenize_json(const Tokenized& tokenized);

}  // namespace krait::server
