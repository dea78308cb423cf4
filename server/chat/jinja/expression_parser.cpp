// Recursive descent with one function per level of precedence, loosest first, in the order of jinja2's parser.py. Two
// differences from Python are Jinja's own: ** binds to the left, and ~ binds tighter than + and looser than *.
#include "server/chat/jinja/expression_parser.h"

#include <charconv>
#include <cstdlib>

namespace krait::server::jinja {
namespace {

/// The operator of a comparison at the stream's place, taken; empty if there is none.
std::string take_comparison(TokenStream& stream) {
  if (stream.is(TokenKind::kOperator)) {
    for (const std::string_view symbol : {"==", "!=", "<", "<=", ">", ">="}) {
      if (stream.accept_operator(symbol)) return std::string(symbol);
    }
    return {};
  }
  if (stream.accept_name("in")) return "in";
  const bool not_in =
      stream.is_name("not") && stream.peek_next().kind == TokenKind::kName && stream.peek_next().text == "in";
  if (!not_in) return {};
  stream.take();
  stream.take();
  return "not in";
}

bool is_keyword(std::string_view name) {
  for (const std::string_view keyword : {"and", "or", "not", "in", "is", "if", "else", "elif"}) {
    if (name == keyword) return true;
  }
  return false;
}

}  // namespace

ExpressionPtr ExpressionParser::parse_expression() {
  const TokenStream::Level level(stream_);
  const std::size_t unknown_before = unknown_.size();
  ExpressionPtr node = parse_or();
  while (stream_.is_name("if")) {
    const bool soft = set_soft(true);
    const Position at = stream_.take().at;
    stream_.count_operator();
    ExpressionPtr condition = parse_or();
    ExpressionPtr otherwise = stream_.accept_name("else") ? parse_expression() : nullptr;
    set_soft(soft);
    unknown_.erase(unknown_.begin() + static_cast<std::ptrdiff_t>(unknown_before), unknown_.end());
    node = make_conditional(at, std::move(condition), std::move(node), std::move(otherwise));
  }
  return node;
}

ExpressionPtr ExpressionParser::parse_tuple() {
  const Position at = stream_.position();
  std::vector<ExpressionPtr> items;
  items.push_back(parse_expression());
  if (!stream_.is_operator(",")) return std::move(items.front());
  while (stream_.accept_operator(",")) {
    if (stream_.is(TokenKind::kBlockEnd) || stream_.is(TokenKind::kVariableEnd) || stream_.is_operator(")")) break;
    items.push_back(parse_expression());
  }
  return make_list(at, SequenceKind::kTuple, std::move(items));
}

ExpressionPtr ExpressionParser::parse_tuple_without_condition() {
  const TokenStream::Level level(stream_);
  const Position at = stream_.position();
  std::vector<ExpressionPtr> items;
  items.push_back(parse_or());
  if (!stream_.is_operator(",")) return std::move(items.front());
  while (stream_.accept_operator(",")) {
    if (stream_.is(TokenKind::kBlockEnd) || stream_.is_name("recursive") || stream_.is_name("if")) break;
    items.push_back(parse_or());
  }
  return make_list(at, SequenceKind::kTuple, std::move(items));
}

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr node = parse_and();
  while (stream_.is_name("or")) {
    const Position at = stream_.take().at;
    stream_.count_operator();
    node = make_or(at, std::move(node), parse_and());
  }
  return node;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr node = parse_not();
  while (stream_.is_name("and")) {
    const Position at = stream_.take().at;
    stream_.count_operator();
    node = make_and(at, std::move(node), parse_not());
  }
  return node;
}

ExpressionPtr ExpressionParser::parse_not() {
  if (!stream_.is_name("not")) return parse_comparison();
  const TokenStream::Level level(stream_);
  const Position at = stream_.take().at;
  return make_not(at, parse_not());
}

ExpressionPtr ExpressionParser::parse_comparison() {
  const Position at = stream_.position();
  ExpressionPtr node = parse_sum();
  std::vector<std::pair<std::string, ExpressionPtr>> rest;
  for (std::string symbol = take_comparison(stream_); !symbol.empty(); symbol = take_comparison(stream_)) {
    rest.emplace_back(std::move(symbol), parse_sum());
  }
  return rest.empty() ? std::move(node) : make_comparison(at, std::move(node), std::move(rest));
}

ExpressionPtr ExpressionParser::parse_sum() {
  ExpressionPtr node = parse_concatenation();
  while (stream_.is_operator("+") || stream_.is_operator("-")) {
    const Token op = stream_.take();
    stream_.count_operator();
    node = make_binary(op.at, op.text, std::move(node), parse_concatenation());
  }
  return node;
}

ExpressionPtr ExpressionParser::parse_concatenation() {
  const Position at = stream_.position();
  std::vector<ExpressionPtr> parts;
  parts.push_back(parse_product());
  while (stream_.accept_operator("~")) parts.push_back(parse_product());
  return parts.size() == 1 ? std::move(parts.front()) : make_concatenation(at, std::move(parts));
}

ExpressionPtr ExpressionParser::parse_product() {
  ExpressionPtr node = parse_power();
  while (stream_.is_operator("*") || stream_.is_operator("/") || stream_.is_operator("//") ||
         stream_.is_operator("%")) {
    const Token op = stream_.take();
    stream_.count_operator();
    node = make_binary(op.at, op.text, std::move(node), parse_power());
  }
  return node;
}

ExpressionPtr ExpressionParser::parse_power() {
  ExpressionPtr node = parse_unary(true);
  while (stream_.is_operator("**")) {  // from left to right, unlike Python
    const Token op = stream_.take();
    stream_.count_operator();
    node = make_binary(op.at, op.text, std::move(node), parse_unary(true));
  }
  return node;
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filters) {
  ExpressionPtr node;
  if (stream_.is_operator("-") || stream_.is_operator("+")) {
    const TokenStream::Level level(stream_);
    const Token op = stream_.take();
    node = make_unary(op.at, op.text[0], parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::parse_primary() {
  if (stream_.is(TokenKind::kName)) return parse_name();
  if (stream_.is_operator("(")) return parse_parenthesis();
  if (stream_.is_operator("[")) return parse_list();
  if (stream_.is_operator("{")) return parse_dict();
  return parse_literal();
}

ExpressionPtr ExpressionParser::parse_name() {
  if (is_keyword(stream_.peek().text)) stream_.unexpected("an expression");
  for (SpecialNames& macro : macros_) {
    macro.caller = macro.caller || stream_.is_name("caller");
    macro.varargs = macro.varargs || stream_.is_name("varargs");
    macro.kwargs = macro.kwargs || stream_.is_name("kwargs");
  }
  Token name = stream_.take();
  if (name.text == "true" || name.text == "True") return make_constant(name.at, true);
  if (name.text == "false" || name.text == "False") return make_constant(name.at, false);
  if (name.text == "none" || name.text == "None") return make_constant(name.at, None{});
  return make_name(name.at, std::move(name.text));
}

ExpressionPtr ExpressionParser::parse_literal() {
  const Token token = stream_.peek();
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (stream_.is(TokenKind::kString)) text += stream_.take().text;  // neighbours are one string, as in Python
    return make_constant(token.at, std::move(text));
  }
  if (token.kind == TokenKind::kInteger) {
    stream_.take();
    std::int64_t value = 0;
    const char second = token.text.size() > 2 ? token.text[1] : '0';
    const int base = second == 'x' ? 16 : second == 'o' ? 8 : second == 'b' ? 2 : 10;
    const std::string_view digits = std::string_view(token.text).substr(base == 10 ? 0 : 2);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    std::uint64_t large = 0;
    const auto large_parsed = std::from_chars(digits.data(), digits.data() + digits.size(), large, base);
    if (parsed.ec == std::errc::result_out_of_range && large_parsed.ec == std::errc())
      return make_constant(token.at, Value::large_integer(large));
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size())
      throw TemplateError(Failure::kUnsupported, "an integer above 64 bits is not supported", token.at);
    return make_constant(token.at, value);
  }
  if (token.kind != TokenKind::kFloat) stream_.unexpected("an expression");
  stream_.take();
  double value = 0.0;
  const auto parsed = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
  if (parsed.ec == std::errc::result_out_of_range) value = std::strtod(token.text.c_str(), nullptr);
  return make_constant(token.at, value);
}

ExpressionPtr ExpressionParser::parse_parenthesis() {
  const Position at = stream_.take().at;
  if (stream_.accept_operator(")")) return make_list(at, SequenceKind::kTuple, {});
  ExpressionPtr node = parse_tuple();
  stream_.expect_operator(")");
  return node;
}

ExpressionPtr ExpressionParser::parse_list() {
  const Position at = stream_.take().at;
  std::vector<ExpressionPtr> items;
  while (!stream_.is_operator("]")) {
    items.push_back(parse_expression());
    if (!stream_.accept_operator(",")) break;
  }
  stream_.expect_operator("]");
  return make_list(at, SequenceKind::kList, std::move(items));
}

ExpressionPtr ExpressionParser::parse_dict() {
  const Position at = stream_.take().at;
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
  while (!stream_.is_operator("}")) {
    ExpressionPtr key = parse_expression();
    stream_.expect_operator(":");
    items.emplace_back(std::move(key), parse_expression());
    if (!stream_.accept_operator(",")) break;
  }
  stream_.expect_operator("}");
  return make_dict_literal(at, std::move(items));
}

ExpressionPtr ExpressionParser::unknown(const std::string& what, Position at) {
  if (!soft_) unknown_.emplace_back(Failure::kUnsupported, what + " is not supported", at);
  return make_failure(at, what + " is not supported");
}

void ExpressionParser::check_unknown() const {
  if (!unknown_.empty()) throw unknown_.front();
}

ExpressionParser::SpecialNames ExpressionParser::end_macro() {
  const SpecialNames used = macros_.back();
  macros_.pop_back();
  return used;
}

}  // namespace krait::server::jinja
