#include <algorithm>

#include "models/tokenizer/metaspace.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(Metaspace options) : options_(options) {
    append_code_point(options.replacement, replacement_);
  }

  Status apply(PreTokenizedText& text) const override {
    PreTokenizedText result{std::string()};
    result.text.reserve(text.text.size() + text.text.size() / 2);
    for (const Span& piece : text.pieces) {
      const std::size_t begin = result.text.size();
      const std::string_view view = text.view(piece);
      const std::size_t head = text.head > piece.begin ? std::min(text.head - piece.begin, view.size()) : 0;
      if (takes_prefix(view, head > 0)) result.text += replacement_;
      append_replaced(view.substr(0, head), result.text);
      if (head > 0) result.head = result.text.size();
      append_replaced(view.substr(head), result.text);
      append_pieces(begin, result);
    }
    text = std::move(result);
    return ok_status();
  }

 private:
  [[nodiscard]] bool takes_prefix(std::string_view piece, bool at_start) const {
    if (options_.prepend == Metaspace::Prepend::kNever) return false;
    if (options_.prepend == Metaspace::Prepend::kFirst && !at_start) return false;
    return piece.front() != ' ' && !piece.starts_with(replacement_);
  }

  void append_replaced(std::string_view text, std::string& out) const {
    for (std::size_t pos = 0; pos < text.size();) {
      const std::size_t blank = std::min(text.find(' ', pos), text.size());
      out.append(text.substr(pos, blank - pos));
      if (blank < text.size()) out += replacement_;
      pos = blank + 1;
    }
  }

  /// The pieces of result.text from `begin` on.
  void append_pieces(std::size_t begin, PreTokenizedText& result) const {
    std::size_t from = begin;
    if (options_.split) {
      for (std::size_t at = result.text.find(replacement_, begin + 1); at != std::string::npos;
           at = result.text.find(replacement_, at + 1)) {
        result.pieces.push_back({.begin = from, .end = at});
        from = at;
      }
    }
    result.pieces.push_back({.begin = from, .end = result.text.size()});
  }

  Metaspace options_;
  std::string replacement_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_metaspace_pre_tokenizer(const nlohmann::json& description,
                                                           const LoadContext& context) {
  return std::make_unique<MetaspacePreTokenizer>(Metaspace::read(description, "pre_tokenizer", context));
}

}  // namespace krait
