#include "models/tokenizer/model.h"

#include "models/tokenizer/byte_alphabet.h"

namespace krait {

Status TokenizerModel::tokenize_bytes(std::string_view piece, std::vector<std::int32_t>& out) const {
  std::string text;
  append_byte_symbols(piece, text);
  return tokenize(text, out);
}

std::unique_ptr<TokenizerModel> make_model(TokenizerFile& file, const LoadContext& context) {
  const nlohmann::json& description = context.required(file.rest, "the file", "model");
  if (!description.is_object()) context.corrupt("model is not an object");
  // Files before the `type` field was written hold BPE with merges.
  const std::string type =
      description.contains("type") || file.merges.size() == 0 ? context.component_type(description, "model") : "BPE";
  if (type == "BPE") return make_bpe_model(file, context);
  context.unknown_type("model", type);
}

}  // namespace krait
