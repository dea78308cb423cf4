// What each statement does. `if` opens no scope; a loop opens one per turn, which is why a `set` in a loop does not
// outlive it and templates use namespaces.
#include "server/chat/jinja/statements.h"

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/expressions.h"
#include "server/chat/jinja/loop_object.h"

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
  if (!attribute.empty()) {
    const Value object = context.lookup(names[0]);
    require_defined(object);
    if (object.object() == nullptr) render_error("cannot assign attribute on non-namespace object");
    return object.object()->set_attribute(attribute, value);
  }
  if (!unpacks) return context.assign(names[0], value);
  require_defined(value);
  const std::vector<Value> items = iterate(value);
  if (items.size() != names.size()) {
    render_error("cannot unpack " + std::to_string(items.size()) + " values into " + std::to_string(names.size()));
  }
  for (std::size_t i = 0; i < items.size(); ++i) context.assign(names[i], items[i]);
}

namespace {

class TextStatement : public Statement {
 public:
  TextStatement(int line, std::string text) : Statement(line), text_(std::move(text)) {}

 private:
  Flow run(RenderContext& context) const override {
    context.write(text_);
    return Flow::kNext;
  }
  std::string text_;
};

class OutputStatement : public Statement {
 public:
  OutputStatement(int line, ExpressionPtr value) : Statement(line), value_(std::move(value)) {}

 private:
  Flow run(RenderContext& context) const override {
    const Value value = value_->evaluate(context);
    context.write(value.string() != nullptr ? *value.string() : to_text(value));
    return Flow::kNext;
  }
  ExpressionPtr value_;
};

class SetStatement : public Statement {
 public:
  SetStatement(int line, Target target, ExpressionPtr value)
      : Statement(line), target_(std::move(target)), value_(std::move(value)) {}

 private:
  Flow run(RenderContext& context) const override {
    target_.assign(context, value_->evaluate(context));
    return Flow::kNext;
  }
  Target target_;
  ExpressionPtr value_;
};

class ForStatement : public Statement {
 public:
  ForStatement(int line, ForLoop loop) : Statement(line), loop_(std::move(loop)) {}

 private:
  Flow run(RenderContext& context) const override {
    std::vector<Value> items = filtered(context, iterate(loop_.items->evaluate(context)));
    if (items.empty()) {
      const Scope scope(context);
      return execute_body(loop_.otherwise, context);
    }
    auto* loop = context.make_object<LoopObject>(std::move(items), std::int64_t{1});
    for (std::size_t i = 0; i < loop->size(); ++i) {
      const Scope scope(context);
      context.assign("loop", static_cast<Object*>(loop));
      loop_.target.assign(context, loop->enter(i));
      if (execute_body(loop_.body, context) == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  [[nodiscard]] std::vector<Value> filtered(RenderContext& context, std::vector<Value> items) const {
    context.charge(items.size() * sizeof(Value));
    if (!loop_.filter) return items;
    std::vector<Value> kept;
    for (Value& item : items) {
      const Scope scope(context);
      loop_.target.assign(context, item);
      if (is_true(loop_.filter->evaluate(context))) kept.push_back(std::move(item));
    }
    return kept;
  }

  ForLoop loop_;
};

class IfStatement : public Statement {
 public:
  IfStatement(int line, std::vector<IfBranch> branches) : Statement(line), branches_(std::move(branches)) {}

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
  JumpStatement(int line, Flow flow) : Statement(line), flow_(flow) {}

 private:
  Flow run(RenderContext& /*context*/) const override { return flow_; }
  Flow flow_;
};

class BlockStatement : public Statement {
 public:
  BlockStatement(int line, Body body) : Statement(line), body_(std::move(body)) {}

 private:
  Flow run(RenderContext& context) const override { return execute_body(body_, context); }
  Body body_;
};

class MacroFunction : public Callable {
 public:
  explicit MacroFunction(Macro macro) : macro_(std::move(macro)) {}

  Value call(RenderContext& context, const CallArguments& arguments) const override {
    const std::vector<const Value*> values = bind(arguments);
    const MacroScope scope(context);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const MacroParameter& parameter = macro_.parameters[i];
      if (values[i] != nullptr) {
        context.assign(parameter.name, *values[i]);
      } else if (parameter.fallback) {
        context.assign(parameter.name, parameter.fallback->evaluate(context));
      } else {
        context.assign(parameter.name, Value::undefined("parameter '" + parameter.name + "' was not provided"));
      }
    }
    return capture_body(macro_.body, context);
  }

 private:
  [[nodiscard]] std::vector<const Value*> bind(const CallArguments& arguments) const {
    std::vector<const Value*> values(macro_.parameters.size(), nullptr);
    if (arguments.positional.size() > values.size()) {
      render_error("macro '" + macro_.name + "' takes not more than " + std::to_string(values.size()) + " argument(s)");
    }
    for (std::size_t i = 0; i < arguments.positional.size(); ++i) values[i] = &arguments.positional[i];
    for (const auto& [name, value] : arguments.named) {
      std::size_t at = 0;
      while (at < values.size() && macro_.parameters[at].name != name) ++at;
      if (at == values.size() || values[at] != nullptr) {
        render_error("macro '" + macro_.name + "' cannot take the argument '" + name + "'");
      }
      values[at] = &value;
    }
    return values;
  }

  Macro macro_;
};

class MacroStatement : public Statement {
 public:
  MacroStatement(int line, Macro macro)
      : Statement(line), name_(macro.name), function_(std::make_shared<MacroFunction>(std::move(macro))) {}

 private:
  Flow run(RenderContext& context) const override {
    context.assign(name_, function_);
    return Flow::kNext;
  }
  std::string name_;
  std::shared_ptr<const Callable> function_;
};

}  // namespace

StatementPtr make_text(int line, std::string text) { return std::make_unique<TextStatement>(line, std::move(text)); }
StatementPtr make_output(int line, ExpressionPtr value) {
  return std::make_unique<OutputStatement>(line, std::move(value));
}
StatementPtr make_set(int line, Target target, ExpressionPtr value) {
  return std::make_unique<SetStatement>(line, std::move(target), std::move(value));
}
StatementPtr make_for(int line, ForLoop loop) { return std::make_unique<ForStatement>(line, std::move(loop)); }
StatementPtr make_if(int line, std::vector<IfBranch> branches) {
  return std::make_unique<IfStatement>(line, std::move(branches));
}
StatementPtr make_jump(int line, Flow flow) { return std::make_unique<JumpStatement>(line, flow); }
StatementPtr make_macro(int line, Macro macro) { return std::make_unique<MacroStatement>(line, std::move(macro)); }
StatementPtr make_block(int line, Body body) { return std::make_unique<BlockStatement>(line, std::move(body)); }

ExpressionPtr make_captured(int line, Body body) {
  auto shared = std::make_shared<const Body>(std::move(body));
  return std::make_unique<FunctionExpression>(line, [shared](RenderContext& context) {
    const Scope scope(context);
    return Value(capture_body(*shared, context));
  });
}

}  // namespace krait::server::jinja
