#include "models/tokenizer/text_pattern.h"

namespace krait {

TextPattern::TextPattern(const nlohmann::json& pattern, const std::string& kind, const LoadContext& context) {
  const std::string where = kind + ".pattern";
  if (!pattern.is_object()) context.corrupt(where + " is not an object");
  if (pattern.contains("Regex")) {
    regex_.emplace(context.string_field(pattern, where, "Regex"), context);
    return;
  }
  std::string text = context.string_field(pattern, where, "String");
  if (text.empty()) {
    regex_.emplace("", context);
  } else {
    literal_ = std::move(text);
  }
}

Status TextPattern::find_all(std::string_view text, std::vector<Span>& out) const {
  if (text.empty()) return ok_status();
  if (!literal_) return regex_->find_all(text, out);
  for (std::size_t at = text.find(*literal_); at != std::string_view::npos;
       at = text.find(*literal_, at + literal_->size())) {
    out.push_back({.begin = at, .end = at + literal_->size()});
  }
  return ok_status();
}

}  // namespace krait
