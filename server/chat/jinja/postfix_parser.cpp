// The part of ExpressionParser that reads what follows an operand: attributes, subscripts, calls, filters and tests.
#include "server/chat/jinja/expression_parser.h"

namespace krait::server::jinja {

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr node) {
  while (true) {
    if (stream_.is_operator(".")) {
      node = parse_dot(std::move(node));
    } else if (stream_.is_operator("[")) {
      node = parse_subscript(std::move(node));
    } else if (stream_.is_operator("(")) {
      const Position at = stream_.position();
      node = make_call(at, std::move(node), parse_arguments());
    } else {
      return node;
    }
    stream_.count_operator();
  }
}

ExpressionPtr ExpressionParser::parse_dot(ExpressionPtr node) {
  const Position at = stream_.take().at;
  if (stream_.is(TokenKind::kInteger)) {
    ExpressionPtr index = parse_literal();
    return make_subscript(at, std::move(node), std::move(index));
  }
  std::string name = stream_.expect_name();
  return make_attribute(at, std::move(node), std::move(name));
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr node) {
  const Position at = stream_.take().at;
  std::vector<ExpressionPtr> bounds(3);
  std::size_t colons = 0;
  while (true) {
    if (!stream_.is_operator(":") && !stream_.is_operator("]")) bounds[colons] = parse_expression();
    if (!stream_.is_operator(":") || colons == 2) break;
    stream_.take();
    ++colons;
  }
  if (colons == 0 && !bounds[0]) stream_.unexpected("a subscript");
  if (stream_.is_operator(",")) {
    if (colons > 0) stream_.unsupported("a slice in a subscript with commas");
    bounds[0] = parse_tuple_key(at, std::move(bounds[0]));
  }
  stream_.expect_operator("]");
  if (colons > 0) return make_slice(at, std::move(node), std::move(bounds));
  return make_subscript(at, std::move(node), std::move(bounds[0]));
}

/// x[a, b]: the key is a tuple.
ExpressionPtr ExpressionParser::parse_tuple_key(Position at, ExpressionPtr first) {
  std::vector<ExpressionPtr> items;
  items.push_back(std::move(first));
  while (stream_.accept_operator(",")) items.push_back(parse_expression());
  return make_list(at, SequenceKind::kTuple, std::move(items));
}

ArgumentNodes ExpressionParser::parse_arguments() {
  stream_.expect_operator("(");
  ArgumentNodes arguments;
  while (!stream_.is_operator(")")) {
    const Token next = stream_.peek_next();
    if (stream_.is_operator("*") || stream_.is_operator("**")) {
      ExpressionPtr& slot = stream_.take().text == "*" ? arguments.spread : arguments.named_spread;
      if (slot || arguments.named_spread) stream_.fail(Failure::kSyntax, "arguments are unpacked twice");
      slot = parse_expression();
    } else if (stream_.is(TokenKind::kName) && next.kind == TokenKind::kOperator && next.text == "=") {
      std::string name = stream_.take().text;
      stream_.take();
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!arguments.named.empty() || arguments.spread || arguments.named_spread)
        stream_.fail(Failure::kSyntax, "a positional argument comes too late");
      arguments.positional.push_back(parse_expression());
    }
    if (!stream_.accept_operator(",")) break;
  }
  stream_.expect_operator(")");
  return arguments;
}

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr node) {
  while (true) {
    if (stream_.accept_operator("|")) {
      node = parse_filter(std::move(node));
    } else if (stream_.accept_name("is")) {
      node = parse_test(std::move(node));
    } else if (stream_.is_operator("(")) {  // a call of what a filter gave
      const Position at = stream_.position();
      node = make_call(at, std::move(node), parse_arguments());
    } else {
      return node;
    }
    stream_.count_operator();
  }
}

ExpressionPtr ExpressionParser::parse_filter_chain(ExpressionPtr subject) {
  do {
    stream_.count_operator();
    subject = parse_filter(std::move(subject));
  } while (stream_.accept_operator("|"));
  return subject;
}

ExpressionPtr ExpressionParser::parse_filter(ExpressionPtr subject) {
  const Position at = stream_.position();
  const std::string name = stream_.expect_name();
  const Filter filter = find_filter(name);
  ArgumentNodes arguments = stream_.is_operator("(") ? parse_arguments() : ArgumentNodes{};
  if (filter == nullptr) return unknown("the filter '" + name + "'", at);
  return make_filter(at, filter, std::move(subject), std::move(arguments));
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr subject) {
  const Position at = stream_.position();
  const bool negated = stream_.accept_name("not");
  const std::string name = stream_.expect_name();
  const Test test = find_test(name);
  ArgumentNodes arguments;
  const bool operand = stream_.is(TokenKind::kName) || stream_.is(TokenKind::kString) ||
                       stream_.is(TokenKind::kInteger) || stream_.is(TokenKind::kFloat) || stream_.is_operator("[") ||
                       stream_.is_operator("{");
  const bool keyword = stream_.is_name("else") || stream_.is_name("or") || stream_.is_name("and");
  if (stream_.is_operator("(")) {
    arguments = parse_arguments();
  } else if (stream_.is_name("is")) {
    stream_.fail(Failure::kSyntax, "tests cannot be chained with 'is'");
  } else if (operand && !keyword) {  // x is divisibleby 3
    arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  if (test == nullptr) return unknown("the test '" + name + "'", at);
  ExpressionPtr node = make_test(at, test, std::move(subject), std::move(arguments));
  return negated ? make_not(at, std::move(node)) : std::move(node);
}

}  // namespace krait::server::jinja
