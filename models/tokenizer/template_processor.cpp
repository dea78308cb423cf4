// TemplateProcessing: where the texts and the special tokens stand, written as objects
// ({"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 0}}) or in short ("$A:0",
// "<s>:0").
#include <algorithm>
#include <charconv>
#include <optional>

#include "models/tokenizer/post_processor.h"

namespace krait {
namespace {

struct TemplatePiece {
  std::optional<std::size_t> text;  ///< 0 for the first, 1 for the second; else the tokens below
  std::vector<std::int32_t> ids;
  std::int32_t type = 0;
};
using Template = std::vector<TemplatePiece>;

class TemplateProcessor : public PostProcessor {
 public:
  TemplateProcessor(Template single, Template pair) : single_(std::move(single)), pair_(std::move(pair)) {}

  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> texts, bool add_special_tokens) const override {
    std::vector<Encoding> result;
    for (const TemplatePiece& piece : texts.size() == 1 ? single_ : pair_) {
      if (piece.text) {
        result.push_back(texts[*piece.text]);
      } else if (add_special_tokens) {
        result.push_back({.ids = piece.ids, .type_ids = {}});
      } else {
        continue;
      }
      result.back().type_ids.assign(result.back().ids.size(), piece.type);
    }
    return result;
  }

 private:
  Template single_;
  Template pair_;
};

/// Reads one of the two templates.
class TemplateReader {
 public:
  TemplateReader(const nlohmann::json& special_tokens, std::string field, std::size_t texts, const LoadContext& context)
      : special_tokens_(special_tokens),
        field_("post_processor." + std::move(field)),
        texts_(texts),
        context_(context) {}

  [[nodiscard]] Template read(const nlohmann::json& value) const {
    Template result;
    if (value.is_string()) {  // "<s> $A:0"
      const auto text = value.get<std::string>();
      for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        result.push_back(short_piece(text.substr(begin, end - begin)));
        begin = end + 1;
      }
      return result;
    }
    if (!value.is_array()) context_.corrupt(field_ + " is not an array");
    for (const auto& piece : value) {
      result.push_back(piece.is_string() ? short_piece(piece.get<std::string>()) : object_piece(piece));
    }
    return result;
  }

 private:
  [[nodiscard]] TemplatePiece object_piece(const nlohmann::json& piece) const {
    if (!piece.is_object() || piece.size() != 1) context_.corrupt(field_ + " holds what is not a piece of a template");
    const bool is_text = piece.contains("Sequence");
    const auto& body = context_.required(piece, field_, is_text ? "Sequence" : "SpecialToken");
    if (!body.is_object()) context_.corrupt(field_ + " holds what is not a piece of a template");
    const std::string id = context_.string_field(body, field_, "id");
    const std::int32_t type = context_.token_id(context_.required(body, field_, "type_id"), field_ + ".type_id");
    if (!is_text) return special(id, type);
    if (id != "A" && id != "B") context_.corrupt(field_ + ": Sequence '" + id + "' is neither A nor B");
    return text(id == "A" ? 0 : 1, type);
  }

  /// `$A`, `$B`, `$` or `$N` (the first text with that type), or a special token; each may have `:type` behind it, and
  /// a token's name may hold colons of its own when the whole is a special token.
  [[nodiscard]] TemplatePiece short_piece(const std::string& spelling) const {
    if (!spelling.starts_with('$') && special_tokens_.contains(spelling)) return special(spelling, 0);
    const std::size_t colon = spelling.rfind(':');
    const std::string name = spelling.substr(0, colon);
    const std::optional<std::int32_t> type = colon == std::string::npos ? 0 : number(spelling.substr(colon + 1));
    if (!type) context_.corrupt(field_ + ": '" + spelling + "' has no number behind its colon");
    if (!name.starts_with('$')) return special(name, *type);
    const std::string which = name.substr(1);
    if (which.empty() || which == "A" || which == "a") return text(0, *type);
    if (which == "B" || which == "b") return text(1, *type);
    const auto numbered = number(which);
    if (!numbered) context_.corrupt(field_ + ": '" + spelling + "' is neither $A, $B nor $ with a number");
    return text(0, colon == std::string::npos ? *numbered : *type);
  }

  static std::optional<std::int32_t> number(const std::string& digits) {
    std::int32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return std::nullopt;
    return value;
  }

  [[nodiscard]] TemplatePiece text(std::size_t which, std::int32_t type) const {
    if (which >= texts_) context_.corrupt(field_ + " asks for a second text");
    return {.text = which, .ids = {}, .type = type};
  }

  [[nodiscard]] TemplatePiece special(const std::string& token, std::int32_t type) const {
    const std::string where = "post_processor.special_tokens";
    const auto& entry = context_.required(special_tokens_, where, token);
    if (!entry.is_object()) context_.corrupt(where + "." + token + " is not an object");
    TemplatePiece piece{.text = std::nullopt, .ids = {}, .type = type};
    for (const auto& id : context_.required_array(entry, where + "." + token, "ids")) {
      piece.ids.push_back(context_.token_id(id, where + "." + token));
    }
    return piece;
  }

  const nlohmann::json& special_tokens_;
  std::string field_;
  std::size_t texts_;
  const LoadContext& context_;
};

}  // namespace

std::unique_ptr<PostProcessor> make_template_processor(const nlohmann::json& description, const LoadContext& context) {
  const std::string kind = "post_processor";
  const auto& special_tokens = context.required(description, kind, "special_tokens");
  if (!special_tokens.is_object()) context.corrupt("post_processor.special_tokens is not an object");
  const auto read = [&](const std::string& name, std::size_t texts) {
    return TemplateReader(special_tokens, name, texts, context).read(context.required(description, kind, name));
  };
  return std::make_unique<TemplateProcessor>(read("single", 1), read("pair", 2));
}

}  // namespace krait
