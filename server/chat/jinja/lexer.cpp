// White space control is decided here, once, so that the parser never sees it: a data token is exactly what will be
// written. Reference: jinja2's lexer.py (3.1), rules for `-`, `+`, trim_blocks, lstrip_blocks and line_starting.
#include <algorithm>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"
#include "server/chat/jinja/strings.h"
#include "server/chat/jinja/token.h"

namespace krait::server::jinja {
namespace {

/// All line ends as \n, and one at the end of the template dropped.
std::string normalize_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text.push_back(source[i]);
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(normalize_newlines(source)) {}

  std::vector<Token> run() {
    while (pos_ < text_.size()) {
      const std::size_t tag = find_tag(pos_);
      if (tag == std::string::npos) {
        push(TokenKind::kData, text_.substr(pos_));
        break;
      }
      lex_tag(tag);
    }
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] std::size_t find_tag(std::size_t from) const {
    for (std::size_t at = text_.find('{', from); at != std::string::npos; at = text_.find('{', at + 1)) {
      if (at + 1 < text_.size() && std::string_view("{%#").find(text_[at + 1]) != std::string_view::npos) return at;
    }
    return std::string::npos;
  }

  [[nodiscard]] char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  [[nodiscard]] bool sees(std::string_view what, std::size_t at) const {
    return std::string_view(text_).substr(std::min(at, text_.size())).starts_with(what);
  }
  [[nodiscard]] std::size_t skip_space(std::size_t at) const { return space_end(text_, at); }

  void push(TokenKind kind, std::string text) {
    if (kind == TokenKind::kData && text.empty()) return;
    tokens_.push_back({.kind = kind, .text = std::move(text), .at = at_});
  }

  /// Moves on to `to`, counting lines; what follows is at a line's start if the last character passed ends one.
  void advance(std::size_t to) {
    for (std::size_t i = pos_; i < to; ++i) {
      if (text_[i] == '\n') {
        ++at_.line;
        at_.column = 1;
      } else if ((static_cast<unsigned char>(text_[i]) & 0xC0U) != 0x80U) {
        ++at_.column;
      }
    }
    if (to > pos_) at_line_start_ = text_[to - 1] == '\n';
    pos_ = to;
  }

  /// The text before a tag, shortened as its sign and lstrip_blocks say.
  [[nodiscard]] std::string data_before(std::size_t tag, char sign, bool is_variable) const {
    const std::string_view data = std::string_view(text_).substr(pos_, tag - pos_);
    if (sign == '-') return std::string(strip(data, Side::kRight));
    if (sign != '+' && !is_variable) {
      const std::size_t newline = data.rfind('\n');
      const std::size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
      const bool whole_line = line_begin > 0 || at_line_start_;
      if (whole_line && strip(data.substr(line_begin), Side::kRight).empty())
        return std::string(data.substr(0, line_begin));
    }
    return std::string(data);
  }

  /// Behind a closing mark: "-" takes white space along, a plain block or comment end one line end (trim_blocks).
  [[nodiscard]] std::size_t after_close(std::size_t at, char sign, bool is_variable) const {
    if (sign == '-') return skip_space(at);
    return sign != '+' && !is_variable && peek(at) == '\n' ? at + 1 : at;
  }

  void lex_tag(std::size_t tag) {
    const char type = text_[tag + 1];
    char sign = peek(tag + 2);
    if (sign != '-' && sign != '+') sign = '\0';
    push(TokenKind::kData, data_before(tag, sign, type == '{'));
    advance(tag);
    const std::size_t inside = tag + 2 + (sign != '\0' ? 1 : 0);
    if (type == '#') return skip_comment(inside);
    if (type == '%' && lex_raw(inside)) return;
    push(type == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    advance(inside);
    lex_inside(type == '{');
  }

  void skip_comment(std::size_t inside) {
    const std::size_t close = text_.find("#}", inside);
    if (close == std::string::npos) throw TemplateError(Failure::kSyntax, "a comment is not closed", at_);
    const char sign = close > inside ? text_[close - 1] : '\0';
    advance(after_close(close + 2, sign, false));
  }

  /// `{% raw %}` … `{% endraw %}`: text that is taken as it is.
  bool lex_raw(std::size_t inside) {
    const std::size_t name = skip_space(inside);
    if (!sees("raw", name)) return false;
    std::size_t close = skip_space(name + 3);
    const bool strips = peek(close) == '-';
    if (strips) ++close;
    if (!sees("%}", close)) return false;
    advance(strips ? skip_space(close + 2) : close + 2);
    for (std::size_t at = text_.find("{%", pos_); at != std::string::npos; at = text_.find("{%", at + 2)) {
      if (end_raw(at)) return true;
    }
    throw TemplateError(Failure::kSyntax, "'raw' is not closed", at_);
  }

  bool end_raw(std::size_t at) {
    char sign = peek(at + 2);
    if (sign != '-' && sign != '+') sign = '\0';
    const std::size_t name = skip_space(at + 2 + (sign != '\0' ? 1 : 0));
    if (!sees("endraw", name)) return false;
    std::size_t close = skip_space(name + 6);
    const char end_sign = peek(close) == '-' || peek(close) == '+' ? peek(close) : '\0';
    if (end_sign != '\0') ++close;
    if (!sees("%}", close)) return false;
    push(TokenKind::kData, data_before(at, sign, false));
    advance(after_close(close + 2, end_sign, false));
    return true;
  }

  void lex_inside(bool is_variable) {
    const std::string_view close = is_variable ? "}}" : "%}";
    std::vector<char> brackets;
    while (true) {
      advance(skip_space(pos_));
      if (pos_ >= text_.size()) throw TemplateError(Failure::kSyntax, "the template ends inside a tag", at_);
      const char first = text_[pos_];
      const bool signed_close = (first == '-' || (first == '+' && !is_variable)) && sees(close, pos_ + 1);
      if (brackets.empty() && (signed_close || sees(close, pos_))) {
        push(is_variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
        const char sign = signed_close ? first : '\0';
        return advance(after_close(pos_ + 2 + (signed_close ? 1 : 0), sign, is_variable));
      }
      TagToken next = read_tag_token(text_, pos_, at_);
      track_bracket(next.token, brackets);
      tokens_.push_back(std::move(next.token));
      advance(next.end);
    }
  }

  void track_bracket(const Token& token, std::vector<char>& brackets) const {
    if (token.kind != TokenKind::kOperator || token.text.size() != 1) return;
    const char c = token.text[0];
    const std::size_t opens = std::string_view("([{").find(c);
    if (opens != std::string_view::npos) return brackets.push_back(")]}"[opens]);
    if (std::string_view(")]}").find(c) == std::string_view::npos) return;
    if (brackets.empty() || brackets.back() != c) {
      throw TemplateError(Failure::kSyntax, std::string("unexpected '") + c + "'", at_);
    }
    brackets.pop_back();
  }

  std::string text_;
  std::size_t pos_ = 0;
  Position at_{.line = 1, .column = 1};
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (source.size() > kLimits.max_source_bytes) throw TemplateError(Failure::kLimit, "the template is too long");
  return Lexer(source).run();
}

}  // namespace krait::server::jinja
