#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kernels/result.h"
#include "server/service/generation_request.h"
#include "server/service/served_model.h"

namespace krait::server {

/// A text, or a conversation, whose token ids are asked for.
struct TokenizeRequest {
  std::string model;  ///< empty: the first
  std::variant<std::string, ChatInput> input;
  bool add_special_tokens = true;
  bool return_token_strings = false;
};

struct Tokenized {
  std::vector<std::int32_t> ids;
  std::vector<std::string> token_strings;  ///< as `tokenizer.json` spells them; empty unless they were asked for
  int max_model_len = 0;
};

struct DetokenizeRequest {
  std::string model;
  std::vector<std::int32_t> ids;
};

/// Exactly what a request of the same prompt would be encoded to. Errors as for such a request, except that a prompt
/// may be empty or longer than the context.
Result<Tokenized> tokenize(const TokenizeRequest& request, const ServedModel& model);
/// The text of the ids, special tokens spelt out. An id outside the vocabulary is an error.
Result<std::string> detokenize(const DetokenizeRequest& request, const ServedModel& model);

}  // namespace krait::server
