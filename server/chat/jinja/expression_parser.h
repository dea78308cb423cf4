#pragma once

#include <utility>
#include <vector>

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
  ExpressionPtr parse_tuple_without_condition();
  /// Expressions with commas between them are a tuple.
  ExpressionPtr parse_tuple();
  /// name(arguments) | name(arguments) …, applied to `subject`; at the first name.
  ExpressionPtr parse_filter_chain(ExpressionPtr subject);

  /// Whether the statement at hand may never be run: an unknown filter or test fails only when it is. Returns what was
  /// set before.
  bool set_soft(bool soft) { return std::exchange(soft_, soft); }
  /// At the end of the template: fails if it uses an unknown filter or test that is not conditional.
  void check_unknown() const;

  /// The names that make a macro take more arguments than it declares, if its body mentions them.
  struct SpecialNames {
    bool caller = false;
    bool varargs = false;
    bool kwargs = false;
  };
  void begin_macro() { macros_.emplace_back(); }
  SpecialNames end_macro();

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
  ExpressionPtr parse_tuple_key(Position at, ExpressionPtr first);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr node);
  ExpressionPtr parse_filter(ExpressionPtr subject);
  ExpressionPtr parse_test(ExpressionPtr subject);
  ArgumentNodes parse_arguments();

  TokenStream& stream_;
  /// A filter or a test that is not there.
  ExpressionPtr unknown(const std::string& what, Position at);

  bool soft_ = false;
  std::vector<TemplateError> unknown_;
  std::vector<SpecialNames> macros_;  ///< those that are open, innermost last
};

}  // namespace krait::server::jinja
