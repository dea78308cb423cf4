#include "models/tokenizer/model.h"

#include "models/tokenizer/byte_alphabet.h"

namespace krait {
namespace {

/// Files from before the `type` field was written hold BPE with merges, or Unigram with a list of scores.
std::string model_type(const nlohmann::json& description, const TokenizerFile& file, const LoadContext& context) {
  if (!description.contains("type")) {
    if (file.merges.size() > 0) return "BPE";
    if (description.contains("vocab") && description["vocab"].is_array()) return "Unigram";
  }
  return context.component_type(description, "model");
}

}  // namespace

Status TokenizerModel::tokenize_bytes(std::string_view piece, std::vector<std::int32_t>& out) const {
  std::string text;
  append_byte_symbols(piece, text);
  return tokenize(text, out);
}

std::unique_ptr<TokenizerModel> make_model(TokenizerFile& file, const LoadContext& context) {
  const nlohmann::json& description = context.required(file.rest, "the file", "model");
  if (!description.is_object()) context.corrupt("model is not an object");
  const std::string type = model_type(description, file, context);
  if (type == "BPE") return make_bpe_model(file, context);
  if (type == "Unigram") return make_unigram_model(file, context);
  context.unknown_type("model", type);
}

}  // namespace krait
