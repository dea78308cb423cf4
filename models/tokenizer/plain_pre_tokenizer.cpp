// Pre-tokenizers that only cut, by a rule about single characters.
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/unicode_classes.h"
#include "models/tokenizer/unicode_scripts.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// Cuts between characters of different groups, and drops those of group 0; group `kAlone` are pieces of one character.
/// The groups are numbers that a function gives each character.
class GroupPreTokenizer : public PreTokenizer {
 public:
  static constexpr int kDropped = 0;
  static constexpr int kAlone = -1;
  using Group = int (*)(char32_t c, char32_t delimiter);

  explicit GroupPreTokenizer(Group group, char32_t delimiter = 0) : group_(group), delimiter_(delimiter) {}

  Status apply(PreTokenizedText& text) const override {
    std::vector<Span> pieces;
    for (const Span& piece : text.pieces) append_groups(text.view(piece), piece.begin, pieces);
    text.pieces = std::move(pieces);
    return ok_status();
  }

 private:
  void append_groups(std::string_view view, std::size_t offset, std::vector<Span>& pieces) const {
    int last = kDropped;
    for (std::size_t pos = 0; pos < view.size();) {
      const std::size_t begin = offset + pos;
      const int group = group_(next_code_point(view, pos), delimiter_);
      if (group != kDropped && group == last && group != kAlone) {
        pieces.back().end = offset + pos;
      } else if (group != kDropped) {
        pieces.push_back({.begin = begin, .end = offset + pos});
      }
      last = group;
    }
  }

  Group group_;
  char32_t delimiter_;
};

int word_group(char32_t c, char32_t /*delimiter*/) {
  if (is_white_space(c)) return GroupPreTokenizer::kDropped;
  return is_word(c) ? 1 : 2;
}

int white_space_group(char32_t c, char32_t /*delimiter*/) {
  return is_white_space(c) ? GroupPreTokenizer::kDropped : 1;
}

int bert_group(char32_t c, char32_t /*delimiter*/) {
  if (is_white_space(c)) return GroupPreTokenizer::kDropped;
  return is_punctuation(c) ? GroupPreTokenizer::kAlone : 1;
}

int delimiter_group(char32_t c, char32_t delimiter) { return c == delimiter ? GroupPreTokenizer::kDropped : 1; }

/// Pieces of so many characters each.
class FixedLengthPreTokenizer : public PreTokenizer {
 public:
  explicit FixedLengthPreTokenizer(std::size_t length) : length_(length) {}
  Status apply(PreTokenizedText& text) const override {
    std::vector<Span> pieces;
    for (const Span& piece : text.pieces) {
      const std::string_view view = text.view(piece);
      for (std::size_t pos = 0; pos < view.size();) {
        const std::size_t begin = pos;
        for (std::size_t i = 0; i < length_ && pos < view.size(); ++i) next_code_point(view, pos);
        pieces.push_back({.begin = piece.begin + begin, .end = piece.begin + pos});
      }
    }
    text.pieces = std::move(pieces);
    return ok_status();
  }

 private:
  std::size_t length_;
};

/// Cuts where the script changes. Characters of any script go with what is before them; those before the first other
/// one are dropped, as the reference drops them.
class ScriptPreTokenizer : public PreTokenizer {
 public:
  Status apply(PreTokenizedText& text) const override {
    std::vector<Span> pieces;
    for (const Span& piece : text.pieces) {
      const std::string_view view = text.view(piece);
      int last = kAnyScript;
      for (std::size_t pos = 0; pos < view.size();) {
        const std::size_t begin = piece.begin + pos;
        const int script = unicode_script(next_code_point(view, pos));
        if (script != kAnyScript && script != last) {
          pieces.push_back({.begin = begin, .end = piece.begin + pos});
          last = script;
        } else if (last != kAnyScript) {
          pieces.back().end = piece.begin + pos;
        }
      }
    }
    text.pieces = std::move(pieces);
    return ok_status();
  }
};

}  // namespace

std::unique_ptr<PreTokenizer> make_plain_pre_tokenizer(const std::string& type, const nlohmann::json& description,
                                                       const LoadContext& context) {
  const std::string kind = "pre_tokenizer";
  if (type == "Whitespace") return std::make_unique<GroupPreTokenizer>(&word_group);
  if (type == "WhitespaceSplit") return std::make_unique<GroupPreTokenizer>(&white_space_group);
  if (type == "BertPreTokenizer") return std::make_unique<GroupPreTokenizer>(&bert_group);
  if (type == "UnicodeScripts") return std::make_unique<ScriptPreTokenizer>();
  if (type == "CharDelimiterSplit") {
    return std::make_unique<GroupPreTokenizer>(&delimiter_group,
                                               context.character_field(description, kind, "delimiter"));
  }
  if (type == "FixedLength") {
    const std::size_t length = context.size_field(description, kind, "length", 5);
    if (length == 0) context.corrupt("pre_tokenizer.length of FixedLength is 0");
    return std::make_unique<FixedLengthPreTokenizer>(length);
  }
  return nullptr;
}

}  // namespace krait
