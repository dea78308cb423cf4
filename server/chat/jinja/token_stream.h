#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"
#include "server/chat/jinja/token.h"

namespace krait::server::jinja {

/// The tokens of a template with a place in them, and the bounds of parsing.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  [[nodiscard]] const Token& peek() const { return tokens_[at_]; }
  [[nodiscard]] const Token& peek_next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  [[nodiscard]] Position position() const { return peek().at; }
  [[nodiscard]] bool is(TokenKind kind) const { return peek().kind == kind; }
  [[nodiscard]] bool is_operator(std::string_view text) const {
    return is(TokenKind::kOperator) && peek().text == text;
  }
  [[nodiscard]] bool is_name(std::string_view text) const { return is(TokenKind::kName) && peek().text == text; }

  /// The last token, kEnd, stays.
  Token take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  bool accept_operator(std::string_view text) { return accept(is_operator(text)); }
  bool accept_name(std::string_view text) { return accept(is_name(text)); }

  void expect_operator(std::string_view text) {
    if (!accept_operator(text)) unexpected("'" + std::string(text) + "'");
  }
  void expect_end_of_block() {
    if (!is(TokenKind::kBlockEnd)) unexpected("the end of the statement");
    take();
  }
  std::string expect_name() {
    if (!is(TokenKind::kName)) unexpected("a name");
    return take().text;
  }

  [[noreturn]] void unexpected(const std::string& wanted) const {
    const bool has_text = !peek().text.empty() && !is(TokenKind::kData);
    const std::string found = has_text ? "'" + peek().text + "'" : "the end of the tag";
    fail(Failure::kSyntax, "expected " + wanted + ", found " + found);
  }
  [[noreturn]] void fail(Failure failure, const std::string& message) const {
    throw TemplateError(failure, message, position());
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    fail(Failure::kUnsupported, what + " is not supported");
  }

  /// One more operator in this tag.
  void count_operator() {
    if (++operators_ > kLimits.max_chain) fail(Failure::kLimit, "an expression is too long");
  }
  void begin_tag() { operators_ = 0; }

  /// Lives while the parser is one level deeper.
  class Level {
   public:
    explicit Level(TokenStream& stream) : stream_(stream) {
      if (stream_.depth_ >= kLimits.max_nesting) stream_.fail(Failure::kLimit, "the template nests too deeply");
      ++stream_.depth_;
    }
    ~Level() { --stream_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenStream& stream_;
  };

 private:
  bool accept(bool matches) {
    if (matches) take();
    return matches;
  }

  std::vector<Token> tokens_;  ///< ends with kEnd
  std::size_t at_ = 0;
  int depth_ = 0;
  int operators_ = 0;
};

}  // namespace krait::server::jinja
