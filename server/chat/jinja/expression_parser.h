#pragma once

#include <set>

#include "server/chat/jinja/expressions.h"
#include "server/chat/jinja/token_stream.h"

namespace krait::server::jinja {

/// Parses expressions, with the precedence of Jinja's own parser. What is not implemented fails here, with its name and
/// line.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExpressionPtr parse_expression();
  /// As in `for x in …`, where an `if` belongs to the loop.
  ExpressionPtr parse_without_condition() { return parse_or(); }
  /// Expressions with commas between them are a tuple.
  ExpressionPtr parse_tuple();
  /// name(arguments) | name(arguments) …, applied to `subject`; at the first name.
  ExpressionPtr parse_filter_chain(ExpressionPtr subject);

  /// `name` gets a value somewhere in the template.
  void note_assigned(const std::string& name) { assigned_.insert(name); }
  void set_inside_macro(bool inside) { inside_macro_ = inside; }
  /// At the end of the template: all functions that are called must be known or assigned.
  void check_calls() const;

 private:
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparison();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_literal();
  ExpressionPtr parse_parenthesis();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr node);
  ExpressionPtr parse_dot(ExpressionPtr node);
  ExpressionPtr parse_subscript(ExpressionPtr node);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr node);
  ExpressionPtr parse_filter(ExpressionPtr subject);
  ExpressionPtr parse_test(ExpressionPtr subject);
  ArgumentNodes parse_arguments();

  TokenStream& stream_;
  bool inside_macro_ = false;
  std::set<std::string> assigned_;
  std::vector<Token> called_;  ///< names of functions that are called
};

}  // namespace krait::server::jinja
