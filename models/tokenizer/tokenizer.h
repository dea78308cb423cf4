#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"

namespace krait {

struct EncodeOptions {
  bool add_special_tokens =
      true;  ///< run the post-processor (a template's output already has its special tokens: false)
};

/// An answer's tokens on their way to text.
class DecodeStream {
 public:
  virtual ~DecodeStream() = default;
  /// The text that became certain with this token; may be empty.
  virtual std::string push(std::int32_t id) = 0;
  /// What is left at the end; the stream is done.
  virtual std::string flush() = 0;
};

/// Text to token ids and back, as the checkpoint's `tokenizer.json` says. Immutable and thread-safe after loading.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Fails on text that is not valid UTF-8.
  [[nodiscard]] virtual Result<std::vector<std::int32_t>> encode(std::string_view text,
                                                                 EncodeOptions options) const = 0;
  /// A stream over this tokenizer, which must outlive it. This default joins the tokens' bytes.
  [[nodiscard]] virtual std::unique_ptr<DecodeStream> stream(bool skip_special_tokens) const;
  /// What the file asks for and this reader ignores, one sentence each, for the log.
  [[nodiscard]] virtual std::vector<std::string> notes() const { return {}; }
  /// Bytes that are not valid UTF-8 become U+FFFD; ids outside the vocabulary give nothing.
  [[nodiscard]] virtual std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const = 0;
  /// The raw bytes that one token adds in the middle of a text, before any repair of UTF-8; empty for special tokens
  /// when they are skipped.
  [[nodiscard]] virtual std::string token_bytes(std::int32_t id, bool skip_special_tokens) const = 0;
  [[nodiscard]] virtual std::optional<std::int32_t> token_to_id(std::string_view token) const = 0;
  /// The token as `tokenizer.json` spells it; nullopt outside the vocabulary.
  [[nodiscard]] virtual std::optional<std::string> id_to_token(std::int32_t id) const = 0;
  [[nodiscard]] virtual bool is_special(std::int32_t id) const = 0;
  /// One more than the largest id, added tokens included.
  [[nodiscard]] virtual std::int32_t vocab_size() const = 0;
};

/// Reads `tokenizer.json`. A model, normalizer, pre-tokenizer, post-processor or decoder that this version does not
/// implement is an error that names it and the file.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& tokenizer_json_path);

/// Turns a stream of ids into a stream of text pieces whose concatenation (with `flush`) is the decoding of all ids,
/// and that never hold half a character. Keeps a bounded tail: the cost of a token does not grow with the length of the
/// answer. Where a decoder takes back text that it gave before (byte fallback, when a byte that cannot stand follows
/// whole characters), what was emitted stays, and only the rest is decoded so.
class IncrementalDetokenizer {
 public:
  IncrementalDetokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens);
  /// The text that became certain with this token; may be empty.
  std::string push(std::int32_t id);
  /// What is left at the end: an unfinished character becomes U+FFFD. The next push starts a new answer.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_tokens_;
  std::unique_ptr<DecodeStream> stream_;
};

}  // namespace krait
