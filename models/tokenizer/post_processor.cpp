// Pairs of texts are not encoded by a server, so only the `single` side of each processor matters, and what it does to
// one text is always the same: ids before it and ids behind it.
#include "models/tokenizer/post_processor.h"

namespace krait {
namespace {

using Ids = std::vector<std::int32_t>;

/// Everything that a processor of one text can do: ids before, the text, ids after.
class SurroundingPostProcessor : public PostProcessor {
 public:
  SurroundingPostProcessor(Ids before, Ids after) : before_(std::move(before)), after_(std::move(after)) {}
  [[nodiscard]] Ids process(Ids ids) const override {
    ids.insert(ids.begin(), before_.begin(), before_.end());
    ids.insert(ids.end(), after_.begin(), after_.end());
    return ids;
  }

 private:
  Ids before_;
  Ids after_;
};

class SequencePostProcessor : public PostProcessor {
 public:
  explicit SequencePostProcessor(std::vector<std::unique_ptr<PostProcessor>> steps) : steps_(std::move(steps)) {}
  [[nodiscard]] Ids process(Ids ids) const override {
    for (const auto& step : steps_) ids = step->process(std::move(ids));
    return ids;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> steps_;
};

Ids template_ids(const nlohmann::json& description, const std::string& token, const LoadContext& context) {
  const auto& tokens = context.required(description, "post_processor", "special_tokens");
  const auto& entry = context.required(tokens, "post_processor.special_tokens", token);
  Ids ids;
  for (const auto& id : context.required_array(entry, "post_processor.special_tokens." + token, "ids")) {
    ids.push_back(context.token_id(id, "post_processor.special_tokens." + token));
  }
  return ids;
}

std::unique_ptr<PostProcessor> make_template(const nlohmann::json& description, const LoadContext& context) {
  Ids before;
  Ids after;
  int texts = 0;
  for (const auto& step : context.required_array(description, "post_processor", "single")) {
    if (step.is_object() && step.contains("Sequence")) {
      ++texts;
    } else {
      const auto& special = context.required(step, "post_processor.single", "SpecialToken");
      const Ids ids = template_ids(description, context.string_field(special, "SpecialToken", "id"), context);
      Ids& side = texts == 0 ? before : after;
      side.insert(side.end(), ids.begin(), ids.end());
    }
  }
  if (texts != 1) context.unsupported("post_processor.single does not hold the text exactly once");
  return std::make_unique<SurroundingPostProcessor>(std::move(before), std::move(after));
}

std::int32_t pair_id(const nlohmann::json& description, const std::string& name, const LoadContext& context) {
  const auto& pair = context.required_array(description, "post_processor", name);
  if (pair.size() != 2) context.corrupt("post_processor." + name + " is not a token with its id");
  return context.token_id(pair[1], "post_processor." + name);
}

std::unique_ptr<PostProcessor> make_sequence(const nlohmann::json& description, const LoadContext& context) {
  std::vector<std::unique_ptr<PostProcessor>> steps;
  for (const auto& step : context.required_array(description, "post_processor", "processors")) {
    if (auto processor = make_post_processor(step, context)) steps.push_back(std::move(processor));
  }
  return std::make_unique<SequencePostProcessor>(std::move(steps));
}

}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) return nullptr;
  const std::string type = context.component_type(description, "post_processor");
  if (type == "ByteLevel") return nullptr;
  if (type == "TemplateProcessing") return make_template(description, context);
  if (type == "Sequence") return make_sequence(description, context);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    return std::make_unique<SurroundingPostProcessor>(Ids{pair_id(description, "cls", context)},
                                                      Ids{pair_id(description, "sep", context)});
  }
  context.unknown_type("post_processor", type);
}

}  // namespace krait
