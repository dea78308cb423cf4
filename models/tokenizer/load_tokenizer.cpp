// Inside, a component that finds a fault throws; here that becomes the Result that callers see.
#include "models/tokenizer/hf_tokenizer.h"
#include "models/tokenizer/tokenizer_file.h"

namespace krait {
namespace {

const nlohmann::json& field_or_null(const nlohmann::json& file, const char* name) {
  static const nlohmann::json null;
  const auto found = file.find(name);
  return found == file.end() ? null : *found;
}

std::unique_ptr<Tokenizer> load(const LoadContext& context) {
  TokenizerFile file = read_tokenizer_file(context);
  TokenizerParts parts;
  parts.normalizer = make_normalizer(field_or_null(file.rest, "normalizer"), context);
  parts.pre_tokenizer = make_pre_tokenizer(field_or_null(file.rest, "pre_tokenizer"), context);
  parts.post_processor = make_post_processor(field_or_null(file.rest, "post_processor"), context);
  parts.decoder = make_decoder(field_or_null(file.rest, "decoder"), context);
  parts.model = make_model(file, context);
  parts.added = AddedTokens(read_added_tokens(file.rest, context), parts.normalizer.get(), parts.model->vocabulary(),
                            static_cast<std::int32_t>(parts.model->size()), context);
  parts.notes = parts.added.renumbered();
  for (const char* name : {"truncation", "padding"}) {
    if (field_or_null(file.rest, name).is_null()) continue;
    parts.notes.push_back(std::string("the file's ") + name + " is ignored");
  }
  return std::make_unique<HfTokenizer>(std::move(parts));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& tokenizer_json_path) {
  const LoadContext context{.file = tokenizer_json_path};
  try {
    return load(context);
  } catch (const StartupError& error) {
    return error.error();
  } catch (const nlohmann::json::exception& error) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = tokenizer_json_path + ": " + error.what(),
                 .field = tokenizer_json_path};
  }
}

}  // namespace krait
