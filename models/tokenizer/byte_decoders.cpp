// Decoders that make text of bytes: each must not let half a character out.
#include <algorithm>
#include <optional>

#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

class ByteLevelDecoder : public Decoder {
 public:
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    auto result = std::make_unique<Stage>(std::move(next));
    // Whether a text is spelled in the byte alphabet shows only at its end.
    if (use.fused) return make_collecting_stage(std::move(result));
    return result;
  }
  [[nodiscard]] bool fuses(bool /*fused_before*/) const override { return true; }
  [[nodiscard]] std::string token_bytes(std::string token) const override {
    std::string bytes;
    append_symbol_bytes(token, bytes);
    return bytes;
  }

 private:
  class Stage : public DecoderStage {
   public:
    using DecoderStage::DecoderStage;
    void push(std::string_view token) override {
      append_symbol_bytes(token, pending_);
      pass(Tail::kMayContinue);
    }
    void finish() override {
      pass(Tail::kFinal);
      next().finish();
    }

   private:
    void pass(Tail tail) {
      text_.clear();
      pending_.erase(0, append_repaired(pending_, tail, text_));
      if (!text_.empty()) next().push(text_);
    }

    std::string pending_;  ///< bytes of an unfinished character
    std::string text_;
  };
};

/// The byte of a token like <0x41>. A sign before one digit is taken for a digit's place, as the reference does.
std::optional<char> byte_of(std::string_view token) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const int high = token[3] == '+' ? 0 : digit(token[3]);
  const int low = digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(static_cast<std::uint8_t>(16 * high + low));
}

/// A row of byte tokens is their text if all of it is valid UTF-8, else one U+FFFD for each byte. A stream cannot wait
/// for the end of the row: characters leave when they are complete, and only what comes behind a fault is spelled as
/// faults.
class ByteFallbackDecoder : public Decoder {
 public:
  [[nodiscard]] std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const override {
    if (use.fused) return std::make_unique<FusedStage>(std::move(next));
    return std::make_unique<Stage>(use.streaming, std::move(next));
  }
  [[nodiscard]] std::string token_bytes(std::string token) const override {
    const auto byte = byte_of(token);
    return byte ? std::string(1, *byte) : token;
  }

 private:
  /// A fused text is one token: it is a byte's, or itself.
  class FusedStage : public DecoderStage {
   public:
    using DecoderStage::DecoderStage;
    void push(std::string_view part) override {
      if (passing_) {
        next().push(part);
        return;
      }
      start_ += part;
      if (start_.size() <= kByteToken.size() &&
          start_.starts_with(kByteToken.substr(0, std::min(start_.size(), kName)))) {
        return;  // may still become one
      }
      next().push(start_);
      start_.clear();
      passing_ = true;
    }
    void finish() override {
      const auto byte = passing_ ? std::nullopt : byte_of(start_);
      if (byte && static_cast<std::uint8_t>(*byte) >= 0x80) {
        next().push(kReplacement);
      } else if (byte) {
        next().push(std::string_view(&*byte, 1));
      } else if (!start_.empty()) {
        next().push(start_);
      }
      next().finish();
    }

   private:
    static constexpr std::string_view kByteToken = "<0x00>";
    static constexpr std::size_t kName = 3;  ///< of it, "<0x" is fixed

    bool passing_ = false;
    std::string start_;
  };

  class Stage : public DecoderStage {
   public:
    Stage(bool streaming, std::unique_ptr<DecoderStage> next) : DecoderStage(std::move(next)), streaming_(streaming) {}

    void push(std::string_view token) override {
      const auto byte = byte_of(token);
      if (!byte) {
        end_row();
        next().push(token);
        return;
      }
      row_ += *byte;
      if (streaming_) pass();
    }

    void finish() override {
      end_row();
      next().finish();
    }

   private:
    void pass() {
      std::string text;
      if (!broken_ && append_repaired(row_, Tail::kMayContinue, text) == 0) return;  // an unfinished character
      broken_ = broken_ || text != row_;
      if (broken_) {
        push_faults();
      } else {
        next().push(text);
      }
      row_.clear();
    }

    void end_row() {
      if (is_valid_utf8(row_) && !broken_) {
        if (!row_.empty()) next().push(row_);
      } else {
        push_faults();
      }
      row_.clear();
      broken_ = false;
    }

    void push_faults() {
      for (std::size_t i = 0; i < row_.size(); ++i) next().push(kReplacement);
    }

    bool streaming_;
    bool broken_ = false;
    std::string row_;
  };
};

}  // namespace

std::unique_ptr<Decoder> make_byte_decoder(const std::string& type) {
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  return nullptr;
}

}  // namespace krait
