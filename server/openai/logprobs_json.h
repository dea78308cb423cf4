#pragma once

#include <string>
#include <vector>

#include "server/service/generation_event.h"
#include "server/service/json_text.h"

namespace krait::server {

/// A token's bytes as text: themselves when they are valid UTF-8, else "bytes:\xe2\x80" as OpenAI writes them.
std::string token_text(const std::string& bytes);
/// The `logprobs` object of a chat choice: {"content": [{token, logprob, bytes, top_logprobs}]}.
Json chat_logprobs(const std::vector<OutputToken>& tokens);
/// The `logprobs` object of a completions choice: tokens, token_logprobs, top_logprobs, text_offset. `first_unscored`:
/// the first token begins a prompt and has null in place of both.
Json completion_logprobs(const std::vector<OutputToken>& tokens, bool first_unscored = false);

}  // namespace krait::server
