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
      const int line = stream_.line();
      node = make_call(line, std::move(node), parse_arguments());
    } else {
      return node;
    }
    stream_.count_operator();
  }
}

ExpressionPtr ExpressionParser::parse_dot(ExpressionPtr node) {
  const int line = stream_.take().line;
  if (stream_.is(TokenKind::kInteger)) {
    ExpressionPtr position = parse_literal();
    return make_subscript(line, std::move(node), std::move(position));
  }
  std::string name = stream_.expect_name();
  if (stream_.is_operator("(") && !is_method_name(name)) stream_.unsupported("the method '" + name + "'");
  return make_attribute(line, std::move(node), std::move(name));
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr node) {
  const int line = stream_.take().line;
  std::vector<ExpressionPtr> bounds(3);
  std::size_t colons = 0;
  while (true) {
    if (!stream_.is_operator(":") && !stream_.is_operator("]")) bounds[colons] = parse_expression();
    if (!stream_.is_operator(":") || colons == 2) break;
    stream_.take();
    ++colons;
  }
  if (stream_.is_operator(",")) stream_.unsupported("a subscript with a comma");
  if (colons == 0 && !bounds[0]) stream_.unexpected("a subscript");
  stream_.expect_operator("]");
  if (colons > 0) return make_slice(line, std::move(node), std::move(bounds));
  return make_subscript(line, std::move(node), std::move(bounds[0]));
}

ArgumentNodes ExpressionParser::parse_arguments() {
  stream_.expect_operator("(");
  ArgumentNodes arguments;
  while (!stream_.is_operator(")")) {
    const Token& next = stream_.peek_next();
    if (stream_.is_operator("*") || stream_.is_operator("**")) {
      ExpressionPtr& slot = stream_.take().text == "*" ? arguments.spread : arguments.named_spread;
      if (slot) stream_.fail(Failure::kSyntax, "arguments are unpacked twice");
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
      const int line = stream_.line();
      node = make_call(line, std::move(node), parse_arguments());
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
  const int line = stream_.line();
  const std::string name = stream_.expect_name();
  const Filter filter = find_filter(name);
  if (filter == nullptr) throw TemplateError(Failure::kUnsupported, "the filter '" + name + "' is not supported", line);
  ArgumentNodes arguments = stream_.is_operator("(") ? parse_arguments() : ArgumentNodes{};
  return make_filter(line, filter, std::move(subject), std::move(arguments));
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr subject) {
  const int line = stream_.line();
  const bool negated = stream_.accept_name("not");
  const std::string name = stream_.expect_name();
  const Test test = find_test(name);
  if (test == nullptr) throw TemplateError(Failure::kUnsupported, "the test '" + name + "' is not supported", line);
  ArgumentNodes arguments;
  const bool operand = stream_.is(TokenKind::kName) || stream_.is(TokenKind::kString) ||
                       stream_.is(TokenKind::kInteger) || stream_.is(TokenKind::kFloat) || stream_.is_operator("[") ||
                       stream_.is_operator("{");
  const bool keyword = stream_.is_name("else") || stream_.is_name("or") || stream_.is_name("and") ||
                       stream_.is_name("if") || stream_.is_name("in") || stream_.is_name("not");
  if (stream_.is_operator("(")) {
    arguments = parse_arguments();
  } else if (stream_.is_name("is")) {
    stream_.fail(Failure::kSyntax, "tests cannot be chained with 'is'");
  } else if (operand && !keyword) {  // x is divisibleby 3
    arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  ExpressionPtr node = make_test(line, test, std::move(subject), std::move(arguments));
  return negated ? make_not(line, std::move(node)) : std::move(node);
}

}  // namespace krait::server::jinja
