#include "server/service/tokenization.h"

#include <utility>

#include "server/service/prompt_encoding.h"
#include "server/service/validation.h"

namespace krait::server {
namespace {

Result<std::vector<std::int32_t>> encode(const TokenizeRequest& request, const ServedModel& model) {
  if (const auto* text = std::get_if<std::string>(&request.input)) {
    return encode_text(*text, model, request.add_special_tokens, "prompt");
  }
  Result<std::string> text = render_chat(std::get<ChatInput>(request.input), model);
  if (!text.ok()) return std::move(text).error();
  return encode_text(*text, model, request.add_special_tokens, "messages");
}

}  // namespace

Result<Tokenized> tokenize(const TokenizeRequest& request, const ServedModel& model) {
  Result<std::vector<std::int32_t>> ids = encode(request, model);
  if (!ids.ok()) return std::move(ids).error();
  Tokenized tokenized{.ids = std::move(*ids), .token_strings = {}, .max_model_len = model.limits.max_model_len};
  if (!request.return_token_strings) return tokenized;
  for (std::int32_t id : tokenized.ids) {
    tokenized.token_strings.push_back(model.tokenizer->id_to_token(id).value_or(std::string()));
  }
  return tokenized;
}

Result<std::string> detokenize(const DetokenizeRequest& request, const ServedModel& model) {
  if (model.tokenizer == nullptr) return no_tokenizer("tokens");
  if (request.ids.empty()) return std::string();
  if (Status status = check_prompt_ids(request.ids, model.limits, "tokens"); !status.ok()) return status.error();
  return model.tokenizer->decode(request.ids, false);
}

}  // namespace krait::server
