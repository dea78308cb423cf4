#include "models/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "models/tokenizer/byte_alphabet.h"

namespace krait {

void PreTokenizedText::write_out() {
  if (!in_bytes) return;
  std::string symbols;
  symbols.reserve(text.size() + text.size() / 2);
  std::size_t new_head = 0;
  for (Span& piece : pieces) {
    const std::size_t begin = symbols.size();
    const std::size_t split = head > piece.begin ? std::min(head - piece.begin, piece.end - piece.begin) : 0;
    append_byte_symbols(view(piece).substr(0, split), symbols);
    if (split > 0) new_head = symbols.size();
    append_byte_symbols(view(piece).substr(split), symbols);
    piece = {.begin = begin, .end = symbols.size()};
  }
  text = std::move(symbols);
  head = new_head;
  in_bytes = false;
}

namespace {

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}
  Status apply(PreTokenizedText& text) const override {
    for (const auto& step : steps_) {
      text.write_out();
      if (Status status = step->apply(text); !status.ok()) return status;
    }
    return ok_status();
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

std::unique_ptr<PreTokenizer> make_sequence(const nlohmann::json& description, const LoadContext& context) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  for (const auto& step : context.required_array(description, "pre_tokenizer", "pretokenizers")) {
    if (auto pre_tokenizer = make_pre_tokenizer(step, context)) steps.push_back(std::move(pre_tokenizer));
  }
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const nlohmann::json& description, const LoadContext& context) {
  if (description.is_null()) return nullptr;
  const std::string type = context.component_type(description, "pre_tokenizer");
  if (type == "Sequence") return make_sequence(description, context);
  if (type == "Split") return make_split_pre_tokenizer(description, context);
  if (type == "ByteLevel") return make_byte_level_pre_tokenizer(description, context);
  if (type == "Digits" || type == "Punctuation") return make_character_class_pre_tokenizer(description, context);
  if (type == "Metaspace") return make_metaspace_pre_tokenizer(description, context);
  if (auto pre_tokenizer = make_plain_pre_tokenizer(type, description, context)) return pre_tokenizer;
  context.unknown_type("pre_tokenizer", type);
}

}  // namespace krait
