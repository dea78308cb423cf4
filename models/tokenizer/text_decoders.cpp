#include <algorithm>
#include <vector>

#include "models/tokenizer/decoder.h"
#include "models/tokenizer/metaspace.h"
#include "models/tokenizer/text_pattern.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// Takes up to `start` characters `content` off the front of each token, and up to `stop` off its end.
class StripDecoder : public Decoder {
 public:
  StripDecoder(char32_t content, std::size_t start, std::size_t stop) : start_(start), stop_(stop) {
    append_code_point(content, content_);
  }

  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    if (use.fused) return std::make_unique<FusedStage>(*this, std::move(next));
    return std::make_unique<TokenStage>(*this, std::move(next));
  }

  /// In the middle of a text; where tokens are fused before, the strip does not reach it.
  [[nodiscard]] std::string token_bytes(std::string token) const override { return token; }

 private:
  [[nodiscard]] std::string_view strip_front(std::string_view text, std::size_t& left) const {
    for (; left > 0 && text.starts_with(content_); --left) text.remove_prefix(content_.size());
    return text;
  }

  class TokenStage : public DecoderStage {
   public:
    TokenStage(const StripDecoder& decoder, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder) {}
    void push(std::string_view token) override {
      std::size_t left = decoder_.start_;
      token = decoder_.strip_front(token, left);
      for (std::size_t i = 0; i < decoder_.stop_ && token.ends_with(decoder_.content_); ++i) {
        token.remove_suffix(decoder_.content_.size());
      }
      next().push(token);
    }

   private:
    const StripDecoder& decoder_;
  };

  /// Of one text in parts: the last characters that could be its end wait.
  class FusedStage : public DecoderStage {
   public:
    FusedStage(const StripDecoder& decoder, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder), left_(decoder.start_) {}
    void push(std::string_view part) override {
      if (left_ > 0) {
        part = decoder_.strip_front(part, left_);
        if (!part.empty()) left_ = 0;
      }
      if (part.empty()) return;
      const std::string_view content = decoder_.content_;
      std::string_view body = part;
      std::size_t tail = 0;
      while (tail < decoder_.stop_ && body.ends_with(content)) {
        body.remove_suffix(content.size());
        ++tail;
      }
      // What waited leaves if the part has other characters behind it, and otherwise as far as it is too much.
      const std::size_t leaving = body.empty() ? std::max(held_ + tail, decoder_.stop_) - decoder_.stop_ : held_;
      for (std::size_t i = 0; i < leaving; ++i) next().push(content);
      held_ = held_ + tail - leaving;
      if (!body.empty()) next().push(body);
    }

   private:
    const StripDecoder& decoder_;
    std::size_t left_;
    std::size_t held_ = 0;
  };

  std::string content_;
  std::size_t start_;
  std::size_t stop_;
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(TextPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    if (use.fused && pattern_.literal()) return make_streaming_replace(*pattern_.literal(), content_, std::move(next));
    auto result = std::make_unique<Stage>(*this, std::move(next));
    if (use.fused) return make_collecting_stage(std::move(result));
    return result;
  }

  [[nodiscard]] std::string token_bytes(std::string token) const override {
    std::vector<Span> matches;
    if (!pattern_.find_all(token, matches).ok() || matches.empty()) return token;
    std::string result;
    std::size_t done = 0;
    for (const Span& match : matches) {
      result.append(token, done, match.begin - done).append(content_);
      done = match.end;
    }
    return result.append(token, done);
  }

 private:
  class Stage : public DecoderStage {
   public:
    Stage(const ReplaceDecoder& decoder, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder) {}
    void push(std::string_view token) override {
      const auto& literal = decoder_.pattern_.literal();
      if (literal && token.find(*literal) == std::string_view::npos) {
        next().push(token);
      } else {
        next().push(decoder_.token_bytes(std::string(token)));
      }
    }

   private:
    const ReplaceDecoder& decoder_;
  };

  TextPattern pattern_;
  std::string content_;
};

class StreamingReplaceStage : public DecoderStage {
 public:
  StreamingReplaceStage(std::string from, std::string to, std::unique_ptr<DecoderStage> next)
      : DecoderStage(std::move(next)), from_(std::move(from)), to_(std::move(to)) {}

  void push(std::string_view part) override {
    pending_ += part;
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = pending_.find(from_); at != std::string::npos; at = pending_.find(from_, done)) {
      out.append(pending_, done, at - done).append(to_);
      done = at + from_.size();
    }
    // The longest end that a match could start with waits; whole characters, since `from_` starts at one.
    std::size_t keep = std::min(from_.size() - 1, pending_.size() - done);
    while (keep > 0 && !from_.starts_with(std::string_view(pending_).substr(pending_.size() - keep))) --keep;
    out.append(pending_, done, pending_.size() - keep - done);
    pending_.erase(0, pending_.size() - keep);
    if (!out.empty()) next().push(out);
  }

  void finish() override {
    if (!pending_.empty()) next().push(pending_);
    next().finish();
  }

 private:
  std::string from_;
  std::string to_;
  std::string pending_;
};

/// Replacements become blanks; those of the first token vanish, unless the pre-tokenizer never puts one there.
class MetaspaceDecoder : public Decoder {
 public:
  explicit MetaspaceDecoder(Metaspace options) : drops_first_(options.prepend != Metaspace::Prepend::kNever) {
    append_code_point(options.replacement, replacement_);
  }

  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    return std::make_unique<Stage>(*this, use.fused, std::move(next));
  }

  [[nodiscard]] std::string token_bytes(std::string token) const override { return replaced(token, " "); }

 private:
  class Stage : public DecoderStage {
   public:
    Stage(const MetaspaceDecoder& decoder, bool fused, std::unique_ptr<DecoderStage> next)
        : DecoderStage(std::move(next)), decoder_(decoder), fused_(fused) {}
    void push(std::string_view token) override {
      const bool first = first_ || fused_;  // a fused text is one token
      first_ = false;
      next().push(decoder_.replaced(token, first && decoder_.drops_first_ ? "" : " "));
    }

   private:
    const MetaspaceDecoder& decoder_;
    bool fused_;
    bool first_ = true;
  };

  [[nodiscard]] std::string replaced(std::string_view token, std::string_view by) const {
    std::string result;
    std::size_t done = 0;
    for (std::size_t at = token.find(replacement_); at != std::string_view::npos; at = token.find(replacement_, done)) {
      result.append(token.substr(done, at - done)).append(by);
      done = at + replacement_.size();
    }
    return result.append(token.substr(done));
  }

  std::string replacement_;
  bool drops_first_;
};

}  // namespace

std::unique_ptr<DecoderStage> make_streaming_replace(std::string from, std::string to,
                                                     std::unique_ptr<DecoderStage> next) {
  return std::make_unique<StreamingReplaceStage>(std::move(from), std::move(to), std::move(next));
}

std::unique_ptr<Decoder> make_text_decoder(const std::string& type, const nlohmann::json& description,
                                           const LoadContext& context) {
  const std::string kind = "decoder";
  if (type == "Strip") {
    return std::make_unique<StripDecoder>(context.character_field(description, kind, "content"),
                                          context.size_field(description, kind, "start", std::nullopt),
                                          context.size_field(description, kind, "stop", std::nullopt));
  }
  if (type == "Replace") {
    return std::make_unique<ReplaceDecoder>(TextPattern(context.required(description, kind, "pattern"), kind, context),
                                            context.string_field(description, kind, "content"));
  }
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(Metaspace::read(description, kind, context));
  return nullptr;
}

}  // namespace krait
