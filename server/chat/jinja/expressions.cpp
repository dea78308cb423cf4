// What each kind of expression computes. Operands are evaluated from left to right, and `and`, `or` and the conditional
// evaluate only what they need, as templates rely on (`x is defined and x.y`).
#include "server/chat/jinja/expressions.h"

#include <optional>

#include "server/chat/jinja/access.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/operators.h"

namespace krait::server::jinja {
namespace {

/// std::function copies its closure, which owns its children: they are shared then.
template <typename T>
std::shared_ptr<const T> share(T value) {
  return std::make_shared<const T>(std::move(value));
}
std::shared_ptr<const Expression> share(ExpressionPtr node) { return node; }

ExpressionPtr make(Position at, FunctionExpression::Compute compute) {
  return std::make_unique<FunctionExpression>(at, std::move(compute));
}

std::vector<Value> evaluate_all(const std::vector<ExpressionPtr>& nodes, RenderContext& context) {
  context.charge(nodes.size() * sizeof(Value));
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const auto& node : nodes) values.push_back(node->evaluate(context));
  return values;
}

}  // namespace

CallArguments ArgumentNodes::evaluate(RenderContext& context) const {
  CallArguments arguments{.positional = evaluate_all(positional, context), .named = {}};
  for (const auto& [name, node] : named) arguments.named.emplace_back(name, node->evaluate(context));
  if (spread) {
    for (Value& value : iterate(context, require_defined(spread->evaluate(context))))
      arguments.positional.push_back(std::move(value));
  }
  if (named_spread) {
    const Value values = named_spread->evaluate(context);
    require_defined(values);
    if (values.dict() == nullptr) render_error("argument after ** must be a mapping");
    context.charge(values.dict()->items.size() * (sizeof(Value) + sizeof(std::string)));
    for (const auto& [key, value] : values.dict()->items) {
      if (key.string() == nullptr) render_error("keywords must be strings");
      for (const auto& [other, ignored] : named) {
        if (other == *key.string()) render_error("got multiple values for keyword argument '" + other + "'");
      }
      arguments.named.emplace_back(*key.string(), value);
    }
  }
  return arguments;
}

ExpressionPtr make_constant(Position at, Value value) {
  return make(at, [value = std::move(value)](RenderContext&) { return value; });
}

ExpressionPtr make_name(Position at, std::string name) {
  return make(at, [name = std::move(name)](RenderContext& context) {
    Value value = context.lookup(name);
    if (!value.is_undefined()) return value;
    Value function = find_function(name);
    return function.is_undefined() ? value : function;
  });
}

ExpressionPtr make_list(Position at, SequenceKind kind, std::vector<ExpressionPtr> items) {
  return make(at, [kind, items = share(std::move(items))](RenderContext& context) {
    return make_sequence(kind, evaluate_all(*items, context));
  });
}

ExpressionPtr make_dict_literal(Position at, std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items) {
  return make(at, [items = share(std::move(items))](RenderContext& context) {
    context.charge(items->size() * 4 * sizeof(Value));
    Dict dict;
    for (const auto& [key_node, value_node] : *items) {
      Value key = key_node->evaluate(context);
      dict.set(std::move(key), value_node->evaluate(context));
    }
    return make_dict(std::move(dict));
  });
}

ExpressionPtr make_attribute(Position at, ExpressionPtr object, std::string name) {
  return make(at, [object = share(std::move(object)), name = std::move(name)](RenderContext& context) {
    return get_attribute(object->evaluate(context), name);
  });
}

ExpressionPtr make_subscript(Position at, ExpressionPtr object, ExpressionPtr key) {
  return make(at, [object = share(std::move(object)), key = share(std::move(key))](RenderContext& context) {
    const Value target = object->evaluate(context);
    return get_item(target, key->evaluate(context));
  });
}

ExpressionPtr make_slice(Position at, ExpressionPtr object, std::vector<ExpressionPtr> bounds) {
  return make(at, [object = share(std::move(object)), bounds = share(std::move(bounds))](RenderContext& context) {
    const Value target = object->evaluate(context);
    Value values[3] = {None{}, None{}, None{}};
    for (std::size_t i = 0; i < 3; ++i) {
      if ((*bounds)[i]) values[i] = (*bounds)[i]->evaluate(context);
    }
    return get_slice(context, target, {.begin = values[0], .end = values[1], .step = values[2]});
  });
}

ExpressionPtr make_unary(Position at, char op, ExpressionPtr operand) {
  return make(at, [op, operand = share(std::move(operand))](RenderContext& context) {
    return op == '-' ? negate(operand->evaluate(context)) : plus(operand->evaluate(context));
  });
}

ExpressionPtr make_binary(Position at, const std::string& op, ExpressionPtr left, ExpressionPtr right) {
  return make(at, [apply = find_operator(op), left = share(std::move(left)),
                   right = share(std::move(right))](RenderContext& context) {
    const Value first = left->evaluate(context);
    return apply(context, first, right->evaluate(context));
  });
}

ExpressionPtr make_concatenation(Position at, std::vector<ExpressionPtr> parts) {
  return make(at, [parts = share(std::move(parts))](RenderContext& context) {
    std::string text;
    for (const auto& part : *parts) {
      const std::string piece = to_text(context, part->evaluate(context));
      context.charge_text(text.size() + piece.size());
      text += piece;
    }
    return Value(std::move(text));
  });
}

ExpressionPtr make_comparison(Position at, ExpressionPtr left,
                              std::vector<std::pair<std::string, ExpressionPtr>> rest) {
  return make(at, [left = share(std::move(left)), rest = share(std::move(rest))](RenderContext& context) {
    Value first = left->evaluate(context);
    for (const auto& [op, node] : *rest) {
      Value second = node->evaluate(context);
      if (!compare(context, op, first, second)) return Value(false);
      first = std::move(second);
    }
    return Value(true);
  });
}

ExpressionPtr make_and(Position at, ExpressionPtr left, ExpressionPtr right) {
  return make(at, [left = share(std::move(left)), right = share(std::move(right))](RenderContext& context) {
    Value value = left->evaluate(context);
    return is_true(value) ? right->evaluate(context) : value;
  });
}

ExpressionPtr make_or(Position at, ExpressionPtr left, ExpressionPtr right) {
  return make(at, [left = share(std::move(left)), right = share(std::move(right))](RenderContext& context) {
    Value value = left->evaluate(context);
    return is_true(value) ? value : right->evaluate(context);
  });
}

ExpressionPtr make_not(Position at, ExpressionPtr operand) {
  return make(at, [operand = share(std::move(operand))](RenderContext& context) {
    return Value(!is_true(operand->evaluate(context)));
  });
}

ExpressionPtr make_conditional(Position at, ExpressionPtr condition, ExpressionPtr then, ExpressionPtr otherwise) {
  return make(at, [condition = share(std::move(condition)), then = share(std::move(then)),
                   otherwise = share(std::move(otherwise))](RenderContext& context) {
    if (is_true(condition->evaluate(context))) return then->evaluate(context);
    if (otherwise) return otherwise->evaluate(context);
    return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
  });
}

Value CallExpression::compute(RenderContext& context) const {
  const Value function = callee_->evaluate(context);
  return apply(context, function, arguments_.evaluate(context));
}

Value CallExpression::call_with(RenderContext& context, const std::string& name, Value value) const {
  const Step step(context, at());
  const Value function = callee_->evaluate(context);
  CallArguments arguments = arguments_.evaluate(context);
  for (const auto& [other, ignored] : arguments.named) {
    if (other == name) render_error("got multiple values for keyword argument '" + name + "'");
  }
  arguments.named.emplace_back(name, std::move(value));
  return apply(context, function, arguments);
}

Value CallExpression::apply(RenderContext& context, const Value& function, const CallArguments& arguments) const {
  require_defined(function);
  if (function.object() != nullptr) return function.object()->call(context, arguments);
  if (function.callable() == nullptr) render_error("'" + std::string(type_name(function)) + "' object is not callable");
  return function.callable()->call(context, arguments);
}

ExpressionPtr make_call(Position at, ExpressionPtr callee, ArgumentNodes arguments) {
  return std::make_unique<CallExpression>(at, std::move(callee), std::move(arguments));
}

ExpressionPtr make_failure(Position at, std::string message) {
  return make(at, [message = std::move(message)](RenderContext&) -> Value { render_error(message); });
}

ExpressionPtr make_filter(Position at, Filter filter, ExpressionPtr subject, ArgumentNodes arguments) {
  return make(at, [filter, subject = share(std::move(subject)),
                   arguments = share(std::move(arguments))](RenderContext& context) {
    const Value value = subject->evaluate(context);
    return apply_filter(context, filter, value, arguments->evaluate(context));
  });
}

ExpressionPtr make_test(Position at, Test test, ExpressionPtr subject, ArgumentNodes arguments) {
  return make(
      at, [test, subject = share(std::move(subject)), arguments = share(std::move(arguments))](RenderContext& context) {
        const Value value = subject->evaluate(context);
        return Value(test(context, value, arguments->evaluate(context)));
      });
}

}  // namespace krait::server::jinja
