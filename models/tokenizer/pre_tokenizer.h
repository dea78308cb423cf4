#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "models/tokenizer/load_context.h"
#include "models/tokenizer/regex.h"

namespace krait {

/// A stretch of text on its way through the pre-tokenizers: pieces are byte ranges of `text`, in order, never empty,
/// and need not cover it. A step either cuts pieces or writes a new text with new pieces.
struct PreTokenizedText {
  std::string text;
  std::vector<Span> pieces;
  /// The bytes stand for their characters of the byte alphabet. ByteLevel, almost always the last step, leaves it to
  /// the model to read them so; a step behind it must be given the text written out.
  bool in_bytes = false;
  /// How many bytes at the front of `text` stand for the first character of what the user wrote (see NormalizedText).
  std::size_t head = 0;

  explicit PreTokenizedText(std::string whole, std::size_t head_bytes = 0) : text(std::move(whole)), head(head_bytes) {
    if (!text.empty()) pieces.push_back({.begin = 0, .end = text.size()});
  }
  /// Writes the byte alphabet out, if that is still to be done.
  void write_out();
  [[nodiscard]] std::string_view view(Span piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

/// Cuts text into the pieces that the model sees one by one.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual Status apply(PreTokenizedText& text) const = 0;
};

/// Of tokenizer.json's `pre_tokenizer`; null gives a null pointer. Throws StartupError.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const nlohmann::json& description, const LoadContext& context);

/// One factory per file; each is for the type in its name only.
std::unique_ptr<PreTokenizer> make_split_pre_tokenizer(const nlohmann::json& description, const LoadContext& context);
std::unique_ptr<PreTokenizer> make_character_class_pre_tokenizer(const nlohmann::json& description,
                                                                 const LoadContext& context);
std::unique_ptr<PreTokenizer> make_byte_level_pre_tokenizer(const nlohmann::json& description,
                                                            const LoadContext& context);
std::unique_ptr<PreTokenizer> make_metaspace_pre_tokenizer(const nlohmann::json& description,
                                                           const LoadContext& context);
/// Whitespace, WhitespaceSplit, BertPreTokenizer, CharDelimiterSplit, FixedLength, UnicodeScripts; a null pointer for
/// other types.
std::unique_ptr<PreTokenizer> make_plain_pre_tokenizer(const std::string& type, const nlohmann::json& description,
                                                       const LoadContext& context);

}  // namespace krait
