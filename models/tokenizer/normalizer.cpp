#include "models/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <vector>

#include "models/tokenizer/unicode_normalization.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(NormalizationForm form) : form_(form) {}
  [[nodiscard]] std::string normalize(std::string text) const override {
    return is_ascii(text) ? std::move(text) : to_normalization_form(text, form_);
  }

 private:
  NormalizationForm form_;
};

class LowercaseNormalizer : public Normalizer {
 public:
  [[nodiscard]] std::string normalize(std::string text) const override {
    constexpr char32_t kCapitalIWithDot = 0x130;  // the one character whose lower case is two: i and a combining dot
    std::string result;
    result.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
      const char32_t c = next_code_point(text, pos);
      if (c == kCapitalIWithDot) {
        result += "i\xCC\x87";
      } else {
        append_code_point(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), result);
      }
    }
    return result;
  }
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  [[nodiscard]] std::string normalize(std::string text) const override {
    for (const auto& step : steps_) text = step->normalize(std::move(text));
    return text;
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
  const std::string type = context.component_type(description, "normalizer");
  if (type == "NFC") return std::make_unique<FormNormalizer>(NormalizationForm::kNfc);
  if (type == "NFD") return std::make_unique<FormNormalizer>(NormalizationForm::kNfd);
  if (type == "NFKC") return std::make_unique<FormNormalizer>(NormalizationForm::kNfkc);
  if (type == "NFKD") return std::make_unique<FormNormalizer>(NormalizationForm::kNfkd);
  if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
  if (type == "Sequence") return make_sequence(description, context);
  context.unknown_type("normalizer", type);
}

}  // namespace krait
