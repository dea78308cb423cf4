#pragma once

#include <functional>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/node.h"

namespace krait::server::jinja {

/// An expression whose value a function computes: with a closure over its children, a kind of node is a few lines.
class FunctionExpression : public Expression {
 public:
  using Compute = std::function<Value(RenderContext&)>;
  FunctionExpression(Position at, Compute compute) : Expression(at), compute_(std::move(compute)) {}

 private:
  [[nodiscard]] Value compute(RenderContext& context) const override { return compute_(context); }
  Compute compute_;
};

/// A call; a call block hands it one more argument.
class CallExpression : public Expression {
 public:
  CallExpression(Position at, ExpressionPtr callee, ArgumentNodes arguments)
      : Expression(at), callee_(std::move(callee)), arguments_(std::move(arguments)) {}
  [[nodiscard]] Value call_with(RenderContext& context, const std::string& name, Value value) const;

 private:
  [[nodiscard]] Value compute(RenderContext& context) const override;
  [[nodiscard]] Value apply(RenderContext& context, const Value& function, const CallArguments& arguments) const;
  ExpressionPtr callee_;
  ArgumentNodes arguments_;
};

ExpressionPtr make_constant(Position at, Value value);
ExpressionPtr make_name(Position at, std::string name);
ExpressionPtr make_list(Position at, SequenceKind kind, std::vector<ExpressionPtr> items);
ExpressionPtr make_dict_literal(Position at, std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items);
/// object.name and object[key]: Jinja tries attribute and item in the one or the other order.
ExpressionPtr make_attribute(Position at, ExpressionPtr object, std::string name);
ExpressionPtr make_subscript(Position at, ExpressionPtr object, ExpressionPtr key);
/// object[begin:end:step]; null for what is left out.
ExpressionPtr make_slice(Position at, ExpressionPtr object, std::vector<ExpressionPtr> bounds);

ExpressionPtr make_unary(Position at, char op, ExpressionPtr operand);
ExpressionPtr make_binary(Position at, const std::string& op, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_concatenation(Position at, std::vector<ExpressionPtr> parts);
/// left op right op right …; each operand is evaluated once.
ExpressionPtr make_comparison(Position at, ExpressionPtr left, std::vector<std::pair<std::string, ExpressionPtr>> rest);
ExpressionPtr make_and(Position at, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_or(Position at, ExpressionPtr left, ExpressionPtr right);
ExpressionPtr make_not(Position at, ExpressionPtr operand);
/// `otherwise` may be null: undefined then.
ExpressionPtr make_conditional(Position at, ExpressionPtr condition, ExpressionPtr then, ExpressionPtr otherwise);

ExpressionPtr make_call(Position at, ExpressionPtr callee, ArgumentNodes arguments);
/// Fails when it is evaluated: a filter or test that is not there, in a branch that may never be taken.
ExpressionPtr make_failure(Position at, std::string message);
ExpressionPtr make_filter(Position at, Filter filter, ExpressionPtr subject, ArgumentNodes arguments);
ExpressionPtr make_test(Position at, Test test, ExpressionPtr subject, ArgumentNodes arguments);

}  // namespace krait::server::jinja
