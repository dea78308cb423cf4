#include "server/openai/tokenize_parser.h"

#include <limits>
#include <utility>

#include "server/openai/chat_fields.h"
#include "server/openai/field_reader.h"

namespace krait::server {
namespace {

void read_input(FieldReader& reader, TokenizeRequest& request) {
  const bool has_prompt = reader.find("prompt") != nullptr;
  const bool has_messages = reader.find("messages") != nullptr;
  if (has_prompt == has_messages) {
    return reader.fail(Error{.code = ErrorCode::kInvalidArgument,
                             .message = has_prompt ? "only one of prompt and messages may be given"
                                                   : "prompt (a string) or messages must be given",
                             .field = "prompt"});
  }
  if (has_prompt)
    request.input = reader.text("prompt").value_or(std::string());
  else
    request.input = read_chat_input(reader);
  request.add_special_tokens = reader.flag("add_special_tokens", has_prompt);
}

}  // namespace

Result<TokenizeRequest> parse_tokenize_request(const Json& body, std::vector<std::string>& ignored_fields) {
  TokenizeRequest request;
  FieldReader reader(body);
  request.model = reader.text("model").value_or("");
  read_input(reader, request);
  request.return_token_strings = reader.flag("return_token_strs", false);
  if (Status status = reader.status(); !status.ok()) return status.error();
  ignored_fields = reader.unknown();
  return request;
}

Result<DetokenizeRequest> parse_detokenize_request(const Json& body, std::vector<std::string>& ignored_fields) {
  DetokenizeRequest request;
  FieldReader reader(body);
  request.model = reader.text("model").value_or("");
  if (reader.find("tokens") == nullptr) reader.fail("tokens", "a list of integers", nullptr);
  for (std::int64_t id : reader.integers("tokens")) {
    if (id < std::numeric_limits<std::int32_t>::min() || id > std::numeric_limits<std::int32_t>::max()) {
      reader.fail("tokens", "a list of token ids", Json(id));
      break;
    }
    request.ids.push_back(static_cast<std::int32_t>(id));
  }
  if (Status status = reader.status(); !status.ok()) return status.error();
  ignored_fields = reader.unknown();
  return request;
}

Json tokenize_json(const Tokenized& tokenized) {
  const bool with_strings = tokenized.token_strings.size() == tokenized.ids.size() && !tokenized.ids.empty();
  return {{"count", tokenized.ids.size()},
          {"max_model_len", tokenized.max_model_len},
          {"tokens", tokenized.ids},
          {"token_strs", with_strings ? Json(tokenized.token_strings) : Json(nullptr)}};
}

}  // namespace krait::server
