#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "models/tokenizer/load_context.h"

namespace krait {

/// One step of a decoder at work on one stream of tokens. What it makes goes to the next stage, which it owns.
class DecoderStage {
 public:
  explicit DecoderStage(std::unique_ptr<DecoderStage> next) : next_(std::move(next)) {}
  virtual ~DecoderStage() = default;
  /// A token; or, where all tokens were fused before this stage, whole characters of the one text.
  virtual void push(std::string_view part) = 0;
  /// No more comes.
  virtual void finish() { next_->finish(); }

 protected:
  [[nodiscard]] DecoderStage& next() { return *next_; }

 private:
  std::unique_ptr<DecoderStage> next_;
};

/// What a stage is for.
struct StageUse {
  bool fused = false;      ///< its parts are parts of one text, not tokens
  bool streaming = false;  ///< text must leave as soon as it can stand; else all that matters is the whole
  bool divisible = true;   ///< what leaves may be cut anywhere, because nothing behind asks what was one token
};

/// Turns the spellings of tokens back into text. Immutable; stages refer to it and must not outlive it.
class Decoder {
 public:
  virtual ~Decoder() = default;
  [[nodiscard]] virtual std::unique_ptr<DecoderStage> stage(StageUse use, std::unique_ptr<DecoderStage> next) const = 0;
  /// Whether what leaves the stage is one text.
  [[nodiscard]] virtual bool fuses(bool fused_before) const { return fused_before; }
  /// Whether all that the stage does is to join its tokens.
  [[nodiscard]] virtual bool only_joins() const { return false; }
  /// The bytes that a token in the middle of a text stands for, before any repair of UTF-8.
  [[nodiscard]] virtual std::string token_bytes(std::string token) const = 0;
};

/// Of tokenizer.json's `decoder`; null is the reference's default, which puts a blank between tokens. Throws
/// StartupError.
std::unique_ptr<Decoder> make_decoder(const nlohmann::json& description, const LoadContext& context);

/// One factory per file; each is for the types in its comment only, and gives a null pointer for others.
/// ByteLevel, ByteFallback.
std::unique_ptr<Decoder> make_byte_decoder(const std::string& type);
/// Strip, Replace, Metaspace.
std::unique_ptr<Decoder> make_text_decoder(const std::string& type, const nlohmann::json& description,
                                           const LoadContext& context);
/// WordPiece, BPEDecoder, CTC.
std::unique_ptr<Decoder> make_word_decoder(const std::string& type, const nlohmann::json& description,
                                           const LoadContext& context);

/// For steps that need a token whole: collects the parts of a fused text and hands them on as one token at the end.
std::unique_ptr<DecoderStage> make_collecting_stage(std::unique_ptr<DecoderStage> next);

/// Replaces `from` by `to` in a fused text, as it comes.
std::unique_ptr<DecoderStage> make_streaming_replace(std::string from, std::string to,
                                                     std::unique_ptr<DecoderStage> next);

}  // namespace krait
