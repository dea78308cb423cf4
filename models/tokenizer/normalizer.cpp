// The normalizers that treat the text as a whole; those that map characters one by one have a file of their own.
#include "models/tokenizer/normalizer.h"

#include <algorithm>
#include <vector>

#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/unicode_normalization.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(NormalizationForm form) : form_(form) {}
  Status normalize(NormalizedText& text) const override {
    if (is_ascii(text.text)) return ok_status();
    std::string result = to_normalization_form(text.text, form_);
    if (text.head > 0) {
      // A first character that composes with the next one has no head of its own in the result; the result's first
      // character stands for both.
      const std::string head = to_normalization_form(std::string_view(text.text).substr(0, text.head), form_);
      std::size_t first = 0;
      if (!result.empty()) next_code_point(result, first);
      text.head = result.compare(0, head.size(), head) == 0 ? head.size() : first;
    }
    text.text = std::move(result);
    return ok_status();
  }

 private:
  NormalizationForm form_;
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  Status normalize(NormalizedText& text) const override {
    std::size_t begin = 0;
    std::size_t end = text.text.size();
    if (left_) begin = white_space_end(text.text, 0);
    if (right_) end = white_space_begin(text.text, begin, end);
    text.text.erase(end);
    text.text.erase(0, begin);
    text.head = std::min(text.head - std::min(text.head, begin), text.text.size());
    return ok_status();
  }

 private:
  bool left_;
  bool right_;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  Status normalize(NormalizedText& text) const override {
    if (text.text.empty()) return ok_status();
    text.text.insert(0, prefix_);
    if (text.head > 0) text.head += prefix_.size();
    return ok_status();
  }

 private:
  std::string prefix_;
};

class ByteLevelNormalizer : public Normalizer {
 public:
  Status normalize(NormalizedText& text) const override {
    std::string result;
    result.reserve(text.text.size() + text.text.size() / 2);
    append_byte_symbols(std::string_view(text.text).substr(0, text.head), result);
    const std::size_t head = result.size();
    append_byte_symbols(std::string_view(text.text).substr(text.head), result);
    text = {.text = std::move(result), .head = head};
    return ok_status();
  }
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  Status normalize(NormalizedText& text) const override {
    for (const auto& step : steps_) {
      if (Status status = step->normalize(text); !status.ok()) return status;
    }
    return ok_status();
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

std::unique_ptr<Normalizer> make_sequence(const nlohmann::json& description, const LoadContext& context) {
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const auto& step : context.required_array(description, "normalizer", "normalizers")) {
    if (auto normalizer = make_normalizer(step, context)) steps.push_back(std::move(normalizer));
  }
  return std::make_unique<SequenceNormalizer>(std::move(steps));
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) return nullptr;
  const std::string kind = "normalizer";
  const std::string type = context.component_type(description, kind);
  if (type == "NFC") return std::make_unique<FormNormalizer>(NormalizationForm::kNfc);
  if (type == "NFD") return std::make_unique<FormNormalizer>(NormalizationForm::kNfd);
  if (type == "NFKC") return std::make_unique<FormNormalizer>(NormalizationForm::kNfkc);
  if (type == "NFKD") return std::make_unique<FormNormalizer>(NormalizationForm::kNfkd);
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  if (type == "Prepend") {
    return std::make_unique<PrependNormalizer>(context.string_field(description, kind, "prepend"));
  }
  if (type == "Strip") {
    return std::make_unique<StripNormalizer>(context.required_bool(description, kind, "strip_left"),
                                             context.required_bool(description, kind, "strip_right"));
  }
  if (type == "Replace") return make_replace_normalizer(description, context);
  if (type == "Precompiled") return make_precompiled_normalizer(description, context);
  if (type == "Sequence") return make_sequence(description, context);
  if (auto normalizer = make_character_normalizer(type, description, context)) return normalizer;
  context.unknown_type(kind, type);
}

}  // namespace krait
