// Macros and call blocks. Arguments are bound as Jinja's runtime.Macro does it.
#include <algorithm>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/expressions.h"
#include "server/chat/jinja/statements.h"

namespace krait::server::jinja {
namespace {

/// A macro with the scope that it was defined in.
class MacroFunction : public Callable {
 public:
  MacroFunction(std::shared_ptr<const Macro> macro, Environment* closure)
      : macro_(std::move(macro)), closure_(closure) {}

  Value call(RenderContext& context, const CallArguments& arguments) const override {
    const Step step(context, context.position());
    const Scope scope(context, closure_);
    Bound bound = bind(arguments);
    for (std::size_t i = 0; i < bound.values.size(); ++i) {
      const MacroParameter& parameter = macro_->parameters[i];
      if (bound.values[i]) {
        context.assign(parameter.name, *bound.values[i]);
      } else if (parameter.fallback) {
        context.assign(parameter.name, parameter.fallback->evaluate(context));
      } else {
        context.assign(parameter.name, Value::undefined("parameter '" + parameter.name + "' was not provided"));
      }
    }
    assign_rest(context, arguments, std::move(bound));
    return capture_body(macro_->body, context);
  }

  [[nodiscard]] std::string text() const override {
    return "<Macro " + (macro_->name.empty() ? "anonymous" : to_repr(Value(macro_->name))) + ">";
  }

  [[nodiscard]] Value attribute(const std::string& name) const override {
    if (name == "name") return macro_->name.empty() ? Value(None{}) : Value(macro_->name);
    if (name == "catch_kwargs") return macro_->uses_kwargs;
    if (name == "catch_varargs") return macro_->uses_varargs;
    if (name == "caller") return macro_->uses_caller;
    if (name != "arguments") return Callable::attribute(name);
    std::vector<Value> names;
    for (const MacroParameter& parameter : macro_->parameters) names.emplace_back(parameter.name);
    return make_sequence(SequenceKind::kTuple, std::move(names));
  }

 private:
  struct Bound {
    std::vector<std::optional<Value>> values;          ///< of the parameters
    std::vector<std::pair<std::string, Value>> named;  ///< that no parameter takes
  };

  [[nodiscard]] Bound bind(const CallArguments& arguments) const {
    Bound bound{.values = std::vector<std::optional<Value>>(macro_->parameters.size()), .named = arguments.named};
    const std::size_t given = std::min(arguments.positional.size(), bound.values.size());
    for (std::size_t i = 0; i < given; ++i) bound.values[i] = arguments.positional[i];
    for (std::size_t i = given; i < bound.values.size(); ++i) {
      const auto found = std::find_if(bound.named.begin(), bound.named.end(), [this, i](const auto& entry) {
        return entry.first == macro_->parameters[i].name;
      });
      if (found == bound.named.end()) continue;
      bound.values[i] = found->second;
      bound.named.erase(found);
    }
    return bound;
  }

  /// caller, kwargs and varargs, which a macro has if it mentions them.
  void assign_rest(RenderContext& context, const CallArguments& arguments, Bound bound) const {
    if (macro_->uses_caller && !has_parameter("caller")) {
      const auto found = std::find_if(bound.named.begin(), bound.named.end(),
                                      [](const auto& entry) { return entry.first == "caller"; });
      context.assign("caller", found != bound.named.end() ? found->second : Value::undefined("No caller defined"));
      if (found != bound.named.end()) bound.named.erase(found);
    }
    if (macro_->uses_kwargs && !has_parameter("kwargs")) {
      Dict kwargs;
      for (const auto& [name, value] : bound.named) kwargs.set(name, value);
      context.assign("kwargs", make_dict(std::move(kwargs)));
    } else if (!bound.named.empty()) {
      render_error("macro '" + macro_->name + "' takes no keyword argument '" + bound.named.front().first + "'");
    }
    const std::size_t count = macro_->parameters.size();
    if (macro_->uses_varargs && !has_parameter("varargs")) {
      std::vector<Value> rest;
      for (std::size_t i = count; i < arguments.positional.size(); ++i) rest.push_back(arguments.positional[i]);
      context.assign("varargs", make_sequence(SequenceKind::kTuple, std::move(rest)));
    } else if (arguments.positional.size() > count) {
      render_error("macro '" + macro_->name + "' takes not more than " + std::to_string(count) + " argument(s)");
    }
  }

  [[nodiscard]] bool has_parameter(std::string_view name) const {
    return std::any_of(macro_->parameters.begin(), macro_->parameters.end(),
                       [name](const MacroParameter& parameter) { return parameter.name == name; });
  }

  std::shared_ptr<const Macro> macro_;
  Environment* closure_;
};

Value make_function(RenderContext& context, const std::shared_ptr<const Macro>& macro) {
  context.charge(sizeof(MacroFunction));
  return std::shared_ptr<const Callable>(std::make_shared<MacroFunction>(macro, context.capture_environment()));
}

class MacroStatement : public Statement {
 public:
  MacroStatement(Position at, Macro macro) : Statement(at), macro_(std::make_shared<const Macro>(std::move(macro))) {}

 private:
  Flow run(RenderContext& context) const override {
    context.assign(macro_->name, make_function(context, macro_));
    return Flow::kNext;
  }
  std::shared_ptr<const Macro> macro_;
};

class CallBlockStatement : public Statement {
 public:
  CallBlockStatement(Position at, ExpressionPtr call, Macro body)
      : Statement(at), call_(std::move(call)), body_(std::make_shared<const Macro>(std::move(body))) {}

 private:
  Flow run(RenderContext& context) const override {
    const auto& call = static_cast<const CallExpression&>(*call_);
    context.write(to_text(context, call.call_with(context, "caller", make_function(context, body_))));
    return Flow::kNext;
  }
  ExpressionPtr call_;
  std::shared_ptr<const Macro> body_;
};

}  // namespace

StatementPtr make_macro(Position at, Macro macro) { return std::make_unique<MacroStatement>(at, std::move(macro)); }
StatementPtr make_call_block(Position at, ExpressionPtr call, Macro body) {
  return std::make_unique<CallBlockStatement>(at, std::move(call), std::move(body));
}

}  // namespace krait::server::jinja
