// Decoders of vocabularies whose tokens are words and parts of words.
#include <array>
#include <optional>

#include "models/tokenizer/decoder.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// An empty `from` stands between all characters, and at both ends.
std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  if (from.empty()) {
    for (std::size_t pos = 0; pos < text.size();) {
      const std::size_t begin = pos;
      next_code_point(text, pos);
      result.append(to).append(text.substr(begin, pos - begin));
    }
    return result.append(to);
  }
  std::size_t done = 0;
  for (std::size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    result.append(text.substr(done, at - done)).append(to);
    done = at + from.size();
  }
  return result.append(text.substr(done));
}

/// Takes back what splitting English at punctuation does to the blanks.
std::string clean_up(std::string text) {
  constexpr std::array<std::array<std::string_view, 2>, 11> kRules = {{{" .", "."},
                                                                       {" ?", "?"},
                                                                       {" !", "!"},
                                                                       {" ,", ","},
                                                                       {" ' ", "'"},
                                                                       {" n't", "n't"},
                                                                       {" 'm", "'m"},
                                                                       {" do not", " don't"},
                                                                       {" 's", "'s"},
                                                                       {" 've", "'ve"},
                                                                       {" 're", "'re"}}};
  for (const auto& [from, to] : kRules) {
    if (text.find(from) != std::string::npos) text = replaced(text, from, to);
  }
  return text;
}

/// A token that continues a word has the prefix; before all others but the first comes a blank.
class WordPieceDecoder : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    auto result = std::make_unique<Stage>(*this, std::move(next));
    if (use.fused) return make_collecting_stage(std::move(result));
    return result;
  }
  [[nodiscard]] std::string token_bytes(std::string token) const override { return text_of(token, false); }

 private:
  class Stage : public DecoderStage {
   public:
    Stage(const WordPieceDecoder& decoder, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder) {}
    void push(std::string_view token) override {
      next().push(decoder_.text_of(token, first_));
      first_ = false;
    }

   private:
    const WordPieceDecoder& decoder_;
    bool first_ = true;
  };

  [[nodiscard]] std::string text_of(std::string_view token, bool first) const {
    std::string text;
    if (!first && token.starts_with(prefix_)) {
      token.remove_prefix(prefix_.size());
    } else if (!first) {
      text = " ";
    }
    text += token;
    return cleanup_ ? clean_up(std::move(text)) : text;
  }

  std::string prefix_;
  bool cleanup_;
};

/// The suffix marks the end of a word and becomes a blank, or nothing in the last token.
class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    if (use.fused && !suffix_.empty()) return make_streaming_replace(suffix_, "", std::move(next));
    auto result = std::make_unique<Stage>(*this, use.streaming && use.divisible, std::move(next));
    if (use.fused) return make_collecting_stage(std::move(result));
    return result;
  }
  [[nodiscard]] std::string token_bytes(std::string token) const override { return replaced(token, suffix_, " "); }

 private:
  class Stage : public DecoderStage {
   public:
    Stage(const BpeDecoder& decoder, bool divides, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder), divides_(divides) {}
    void push(std::string_view token) override {
      pass(" ");
      if (token.find(decoder_.suffix_) == std::string_view::npos) {
        next().push(token);
        return;
      }
      // Up to the first suffix the text does not depend on whether this is the last token.
      const std::size_t certain = divides_ ? std::min(token.find(decoder_.suffix_), token.size()) : 0;
      if (certain > 0) next().push(token.substr(0, certain));
      held_ = token.substr(certain);
    }
    void finish() override {
      pass("");
      next().finish();
    }

   private:
    void pass(std::string_view blank) {
      if (held_) next().push(replaced(*held_, decoder_.suffix_, blank));
      held_.reset();
    }

    const BpeDecoder& decoder_;
    bool divides_;
    std::optional<std::string> held_;  ///< the last token, as far as it has not left
  };

  std::string suffix_;
};

/// Of speech models: repetitions of a token are one, and the padding between them is nothing.
class CtcDecoder : public Decoder {
 public:
  CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    auto result = std::make_unique<Stage>(*this, std::move(next));
    if (use.fused) return make_collecting_stage(std::move(result));
    return result;
  }
  [[nodiscard]] std::string token_bytes(std::string token) const override {
    std::string text = replaced(token, pad_, "");
    return cleanup_ ? replaced(clean_up(std::move(text)), delimiter_, " ") : text;
  }

 private:
  class Stage : public DecoderStage {
   public:
    Stage(const CtcDecoder& decoder, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder) {}
    void push(std::string_view token) override {
      if (last_ == token) return;
      last_ = token;
      const std::string text = decoder_.token_bytes(std::string(token));
      if (!text.empty()) next().push(text);
    }

   private:
    const CtcDecoder& decoder_;
    std::optional<std::string> last_;
  };

  std::string pad_;
  std::string delimiter_;
  bool cleanup_;
};

}  // namespace

std::unique_ptr<Decoder> make_word_decoder(const std::string& type, const nlohmann::json& description,
                                           const LoadContext& context) {
  const std::string kind = "decoder";
  if (type == "WordPiece") {
    return std::make_unique<WordPieceDecoder>(context.string_field(description, kind, "prefix"),
                                              context.required_bool(description, kind, "cleanup"));
  }
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(context.string_field(description, kind, "suffix"));
  if (type == "CTC") {
    return std::make_unique<CtcDecoder>(context.string_field(description, kind, "pad_token"),
                                        context.string_field(description, kind, "word_delimiter_token"),
                                        context.required_bool(description, kind, "cleanup"));
  }
  return nullptr;
}

}  // namespace krait
