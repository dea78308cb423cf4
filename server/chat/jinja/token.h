#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/chat/jinja/position.h"

namespace krait::server::jinja {

enum class TokenKind {
  kData,           ///< text between tags, white space control done
  kVariableBegin,  ///< {{
  kVariableEnd,
  kBlockBegin,  ///< {%
  kBlockEnd,
  kName,
  kString,  ///< its text is the value, escapes resolved
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Position at{.line = 1, .column = 1};
};

/// Cuts a template into tokens as Jinja does with trim_blocks and lstrip_blocks set and keep_trailing_newline not,
/// which is how transformers renders chat templates. Throws TemplateError.
std::vector<Token> tokenize(std::string_view source);

/// One token of an expression.
struct TagToken {
  Token token;
  std::size_t end = 0;  ///< where it ends in the source
};

/// Reads the token at `pos`, which is inside a tag and not at white space. Throws TemplateError.
TagToken read_tag_token(std::string_view source, std::size_t pos, Position at);

}  // namespace krait::server::jinja
