#include "models/tokenizer/post_processor.h"

#include <algorithm>

namespace krait {

void Encoding::append(const Encoding& other) {
  ids.insert(ids.end(), other.ids.begin(), other.ids.end());
  type_ids.insert(type_ids.end(), other.type_ids.begin(), other.type_ids.end());
}

namespace {

/// <cls> A <sep>, and B <sep> behind it.
class BertProcessor : public PostProcessor {
 public:
  BertProcessor(std::int32_t cls, std::int32_t sep) : cls_(cls), sep_(sep) {}
  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> texts, bool add_special_tokens) const override {
    if (!add_special_tokens) return texts;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      Encoding text;
      if (i == 0) text.append(cls_, 0);
      text.append(texts[i]);
      text.append(sep_, i == 0 ? 0 : 1);
      texts[i] = std::move(text);
    }
    return texts;
  }

 private:
  std::int32_t cls_;
  std::int32_t sep_;
};

/// <cls> A <sep>, and <sep> B <sep> behind it; it tells no texts apart.
class RobertaProcessor : public PostProcessor {
 public:
  RobertaProcessor(std::int32_t cls, std::int32_t sep) : cls_(cls), sep_(sep) {}
  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> texts, bool add_special_tokens) const override {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::fill(texts[i].type_ids.begin(), texts[i].type_ids.end(), 0);
      if (!add_special_tokens) continue;
      Encoding text;
      text.append(i == 0 ? cls_ : sep_, 0);
      text.append(texts[i]);
      text.append(sep_, 0);
      texts[i] = std::move(text);
    }
    return texts;
  }

 private:
  std::int32_t cls_;
  std::int32_t sep_;
};

class SequencePostProcessor : public PostProcessor {
 public:
  explicit SequencePostProcessor(std::vector<std::unique_ptr<PostProcessor>> steps) : steps_(std::move(steps)) {}
  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> texts, bool add_special_tokens) const override {
    for (const auto& step : steps_) texts = step->process(std::move(texts), add_special_tokens);
    return texts;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> steps_;
};

std::int32_t pair_id(const nlohmann::json& description, const std::string& name, const LoadContext& context) {
  const auto& pair = context.required_array(description, "post_processor", name);
  if (pair.size() != 2) context.corrupt("post_processor." + name + " is not a token with its id");
  return context.token_id(pair[1], "post_processor." + name);
}

/// At most one template, because a second one would take the first one's stretches for texts.
bool has_template(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) return false;
  const std::string type = context.component_type(description, "post_processor");
  if (type != "Sequence") return type == "TemplateProcessing";
  const auto& steps = context.required_array(description, "post_processor", "processors");
  return std::any_of(steps.begin(), steps.end(), [&](const auto& step) { return has_template(step, context); });
}

std::unique_ptr<PostProcessor> make_sequence(const nlohmann::json& description, const LoadContext& context) {
  std::vector<std::unique_ptr<PostProcessor>> steps;
  bool templated = false;
  for (const auto& step : context.required_array(description, "post_processor", "processors")) {
    const bool is_template = has_template(step, context);
    if (templated && is_template) context.unsupported("post_processor: two templates in one Sequence");
    templated = templated || is_template;
    if (auto processor = make_post_processor(step, context)) steps.push_back(std::move(processor));
  }
  return std::make_unique<SequencePostProcessor>(std::move(steps));
}

}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) return nullptr;
  const std::string type = context.component_type(description, "post_processor");
  if (type == "ByteLevel") return nullptr;
  if (type == "TemplateProcessing") return make_template_processor(description, context);
  if (type == "Sequence") return make_sequence(description, context);
  if (type == "RobertaProcessing") {
    return std::make_unique<RobertaProcessor>(pair_id(description, "cls", context),
                                              pair_id(description, "sep", context));
  }
  if (type == "BertProcessing") {
    return std::make_unique<BertProcessor>(pair_id(description, "cls", context), pair_id(description, "sep", context));
  }
  context.unknown_type("post_processor", type);
}

}  // namespace krait
