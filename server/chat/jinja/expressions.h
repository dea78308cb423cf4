#pragma once

#include <functional>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/node.h"

namespace krait::server::jinja {

/// An expression whose value a function computes: with a closure over its children, a kind of node is a few lines.
class FunctionExpression : public Expression {
 public:
  using Compute = std::function<Value(RenderContext&)>;
  FunctionExpression(int line, Compute compute) : Expression(line), compute_(std::move(compute)) {}

 private:
  [[nodiscard]] Value compute(RenderContext& context) const override { return compute_(context); }
  Compute compute_;
};

ExpressionPtr make_constant(int line, Value value);
ExpressionPtr make_name(int line, std::string name);
ExpressionPtr make_list(int line, SequenceKind kind, std::vector<ExpressionPtr> items);
ExpressionPtr make_dict_literal(int line, std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items);
/// object.name and object[key]: Jinja tries attribute and item in the one or the other order.
ExpressionPtr make_attribute(int line, ExpressionPtr object, std::string name);
ExpressionPtr make_subscript(int line, ExpressionPtr object, ExpressionPtr key);
/// object[begin:end:step]; null for what is left out.
ExpressionPtr make_slice(int line, ExpressionPtr object, std::vector<ExpressionPtr> bounds);

ExpressionPtr make_unary(int line, char op, ExpressionPtr operand);
ExpressionPtr make_binary(int line, const std::string& op, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_concatenation(int line, std::vector<ExpressionPtr> parts);
/// left op right op right …; each operand is evaluated once.
ExpressionPtr make_comparison(int line, ExpressionPtr left, std::vector<std::pair<std::string, ExpressionPtr>> rest);
ExpressionPtr make_and(int line, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_or(int line, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_not(int line, ExpressionPtr operand);
/// `otherwise` may be null: undefined then.
ExpressionPtr make_conditional(int line, ExpressionPtr condition, ExpressionPtr then, ExpressionPtr otherwise);

ExpressionPtr make_call(int line, ExpressionPtr callee, ArgumentNodes arguments);
ExpressionPtr make_filter(int line, Filter filter, ExpressionPtr subject, ArgumentNodes arguments);
ExpressionPtr make_test(int line, Test test, ExpressionPtr subject, ArgumentNodes arguments);

}  // namespace krait::server::jinja
