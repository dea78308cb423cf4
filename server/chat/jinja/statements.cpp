// What each statement but loops and macros does. `if` opens no scope; a loop opens one per turn, which is why a `set`
// in a loop does not outlive it and templates use namespaces.
#include "server/chat/jinja/statements.h"

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/expressions.h"

namespace krait::server::jinja {

Flow execute_body(const Body& body, RenderContext& context) {
  for (const auto& statement : body) {
    const Flow flow = statement->execute(context);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

std::string capture_body(const Body& body, RenderContext& context) {
  Capture capture(context);
  execute_body(body, context);
  return capture.take();
}

void Target::assign(RenderContext& context, const Value& value) const {
  if (!parts.empty()) {
    require_defined(value);
    const std::vector<Value> items = iterate(context, value);
    if (items.size() != parts.size()) {
      render_error("cannot unpack " + std::to_string(items.size()) + " values into " + std::to_string(parts.size()));
    }
    for (std::size_t i = 0; i < items.size(); ++i) parts[i].assign(context, items[i]);
  } else if (attribute.empty()) {
    context.assign(name, value);
  } else {
    const Value object = context.lookup(name);
    require_defined(object);
    if (object.object() == nullptr) render_error("cannot assign attribute on non-namespace object");
    object.object()->set_attribute(attribute, value);
  }
}

namespace {

class TextStatement : public Statement {
 public:
  TextStatement(Position at, std::string text) : Statement(at), text_(std::move(text)) {}

 private:
  Flow run(RenderContext& context) const override {
    context.write(text_);
    return Flow::kNext;
  }
  std::string text_;
};

class OutputStatement : public Statement {
 public:
  OutputStatement(Position at, ExpressionPtr value) : Statement(at), value_(std::move(value)) {}

 private:
  Flow run(RenderContext& context) const override {
    const Value value = value_->evaluate(context);
    context.write(value.string() != nullptr ? *value.string() : to_text(context, value));
    return Flow::kNext;
  }
  ExpressionPtr value_;
};

class SetStatement : public Statement {
 public:
  SetStatement(Position at, Target target, ExpressionPtr value)
      : Statement(at), target_(std::move(target)), value_(std::move(value)) {}

 private:
  Flow run(RenderContext& context) const override {
    target_.assign(context, value_->evaluate(context));
    return Flow::kNext;
  }
  Target target_;
  ExpressionPtr value_;
};

class IfStatement : public Statement {
 public:
  IfStatement(Position at, std::vector<IfBranch> branches) : Statement(at), branches_(std::move(branches)) {}

 private:
  Flow run(RenderContext& context) const override {
    for (const IfBranch& branch : branches_) {
      if (!branch.condition || is_true(branch.condition->evaluate(context))) return execute_body(branch.body, context);
    }
    return Flow::kNext;
  }
  std::vector<IfBranch> branches_;
};

class JumpStatement : public Statement {
 public:
  JumpStatement(Position at, Flow flow) : Statement(at), flow_(flow) {}

 private:
  Flow run(RenderContext& /*context*/) const override { return flow_; }
  Flow flow_;
};

class WithStatement : public Statement {
 public:
  WithStatement(Position at, std::vector<std::pair<Target, ExpressionPtr>> variables, Body body)
      : Statement(at), variables_(std::move(variables)), body_(std::move(body)) {}

 private:
  Flow run(RenderContext& context) const override {
    std::vector<Value> values;
    for (const auto& [target, value] : variables_) values.push_back(value->evaluate(context));
    const Scope scope(context);
    for (std::size_t i = 0; i < values.size(); ++i) variables_[i].first.assign(context, values[i]);
    return execute_body(body_, context);
  }
  std::vector<std::pair<Target, ExpressionPtr>> variables_;
  Body body_;
};

class BlockStatement : public Statement {
 public:
  BlockStatement(Position at, Body body, bool isolated) : Statement(at), body_(std::move(body)), isolated_(isolated) {}

 private:
  Flow run(RenderContext& context) const override {
    const Scope scope(context, isolated_ ? context.root() : context.environment());
    return execute_body(body_, context);
  }
  Body body_;
  bool isolated_;
};

}  // namespace

StatementPtr make_text(Position at, std::string text) { return std::make_unique<TextStatement>(at, std::move(text)); }
StatementPtr make_output(Position at, ExpressionPtr value) {
  return std::make_unique<OutputStatement>(at, std::move(value));
}
StatementPtr make_set(Position at, Target target, ExpressionPtr value) {
  return std::make_unique<SetStatement>(at, std::move(target), std::move(value));
}
StatementPtr make_if(Position at, std::vector<IfBranch> branches) {
  return std::make_unique<IfStatement>(at, std::move(branches));
}
StatementPtr make_jump(Position at, Flow flow) { return std::make_unique<JumpStatement>(at, flow); }
StatementPtr make_with(Position at, std::vector<std::pair<Target, ExpressionPtr>> variables, Body body) {
  return std::make_unique<WithStatement>(at, std::move(variables), std::move(body));
}
StatementPtr make_block(Position at, Body body, bool isolated) {
  return std::make_unique<BlockStatement>(at, std::move(body), isolated);
}

ExpressionPtr make_captured(Position at, Body body) {
  auto shared = std::make_shared<const Body>(std::move(body));
  return std::make_unique<FunctionExpression>(at, [shared](RenderContext& context) {
    const Scope scope(context);
    return Value(capture_body(*shared, context));
  });
}

}  // namespace krait::server::jinja
