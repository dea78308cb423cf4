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

ExpressionPtr make(int line, FunctionExpression::Compute compute) {
  return std::make_unique<FunctionExpression>(line, std::move(compute));
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
    for (Value& value : iterate(require_defined(spread->evaluate(context))))
      arguments.positional.push_back(std::move(value));
  }
  if (named_spread) {
    const Value values = named_spread->evaluate(context);
    require_defined(values);
    if (values.dict() == nullptr) render_error("argument after ** must be a mapping");
    for (const auto& [key, value] : values.dict()->items) arguments.named.emplace_back(to_text(key), value);
  }
  return arguments;
}

ExpressionPtr make_constant(int line, Value value) {
  return make(line, [value = std::move(value)](RenderContext&) { return value; });
}

ExpressionPtr make_name(int line, std::string name) {
  return make(line, [name = std::move(name)](RenderContext& context) {
    Value value = context.lookup(name);
    if (!value.is_undefined()) return value;
    Value function = find_function(name);
    return function.is_undefined() ? value : function;
  });
}

ExpressionPtr make_list(int line, SequenceKind kind, std::vector<ExpressionPtr> items) {
  return make(line, [kind, items = share(std::move(items))](RenderContext& context) {
    return make_sequence(kind, evaluate_all(*items, context));
  });
}

ExpressionPtr make_dict_literal(int line, std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items) {
  return make(line, [items = share(std::move(items))](RenderContext& context) {
    context.charge(items->size() * 4 * sizeof(Value));
    Dict dict;
    for (const auto& [key_node, value_node] : *items) {
      Value key = key_node->evaluate(context);
      dict.set(std::move(key), value_node->evaluate(context));
    }
    return make_dict(std::move(dict));
  });
}

ExpressionPtr make_attribute(int line, ExpressionPtr object, std::string name) {
  return make(line, [object = share(std::move(object)), name = std::move(name)](RenderContext& context) {
    return get_attribute(object->evaluate(context), name);
  });
}

ExpressionPtr make_subscript(int line, ExpressionPtr object, ExpressionPtr key) {
  return make(line, [object = share(std::move(object)), key = share(std::move(key))](RenderContext& context) {
    const Value target = object->evaluate(context);
    return get_item(target, key->evaluate(context));
  });
}

ExpressionPtr make_slice(int line, ExpressionPtr object, std::vector<ExpressionPtr> bounds) {
  return make(line, [object = share(std::move(object)), bounds = share(std::move(bounds))](RenderContext& context) {
    const Value target = object->evaluate(context);
    Value values[3] = {None{}, None{}, None{}};
    for (std::size_t i = 0; i < 3; ++i) {
      if ((*bounds)[i]) values[i] = (*bounds)[i]->evaluate(context);
    }
    return get_slice(context, target, {.begin = values[0], .end = values[1], .step = values[2]});
  });
}

ExpressionPtr make_unary(int line, char op, ExpressionPtr operand) {
  return make(line, [op, operand = share(std::move(operand))](RenderContext& context) {
    return op == '-' ? negate(operand->evaluate(context)) : plus(operand->evaluate(context));
  });
}

ExpressionPtr make_binary(int line, const std::string& op, ExpressionPtr left, ExpressionPtr right) {
  return make(line, [apply = find_operator(op), left = share(std::move(left)),
                     right = share(std::move(right))](RenderContext& context) {
    const Value first = left->evaluate(context);
    return apply(context, first, right->evaluate(context));
  });
}

ExpressionPtr make_concatenation(int line, std::vector<ExpressionPtr> parts) {
  return make(line, [parts = share(std::move(parts))](RenderContext& context) {
    std::string text;
    for (const auto& part : *parts) {
      const std::string piece = to_text(part->evaluate(context));
      context.charge_text(text.size() + piece.size());
      text += piece;
    }
    return Value(std::move(text));
  });
}

ExpressionPtr make_comparison(int line, ExpressionPtr left, std::vector<std::pair<std::string, ExpressionPtr>> rest) {
  return make(line, [left = share(std::move(left)), rest = share(std::move(rest))](RenderContext& context) {
    Value first = left->evaluate(context);
    for (const auto& [op, node] : *rest) {
      Value second = node->evaluate(context);
      if (!compare(op, first, second)) return Value(false);
      first = std::move(second);
    }
    return Value(true);
  });
}

ExpressionPtr make_and(int line, ExpressionPtr left, ExpressionPtr right) {
  return make(line, [left = share(std::move(left)), right = share(std::move(right))](RenderContext& context) {
    Value value = left->evaluate(context);
    return is_true(value) ? right->evaluate(context) : value;
  });
}

ExpressionPtr make_or(int line, ExpressionPtr left, ExpressionPtr right) {
  return make(line, [left = share(std::move(left)), right = share(std::move(right))](RenderContext& context) {
    Value value = left->evaluate(context);
    return is_true(value) ? value : right->evaluate(context);
  });
}

ExpressionPtr make_not(int line, ExpressionPtr operand) {
  return make(line, [operand = share(std::move(operand))](RenderContext& context) {
    return Value(!is_true(operand->evaluate(context)));
  });
}

ExpressionPtr make_conditional(int line, ExpressionPtr condition, ExpressionPtr then, ExpressionPtr otherwise) {
  return make(line, [condition = share(std::move(condition)), then = share(std::move(then)),
                     otherwise = share(std::move(otherwise))](RenderContext& context) {
    if (is_true(condition->evaluate(context))) return then->evaluate(context);
    if (otherwise) return otherwise->evaluate(context);
    return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
  });
}

ExpressionPtr make_call(int line, ExpressionPtr callee, ArgumentNodes arguments) {
  return make(line,
              [callee = share(std::move(callee)), arguments = share(std::move(arguments))](RenderContext& context) {
                const Value function = callee->evaluate(context);
                require_defined(function);
                if (function.callable() == nullptr)
                  render_error("'" + std::string(type_name(function)) + "' object is not callable");
                return function.callable()->call(context, arguments->evaluate(context));
              });
}

ExpressionPtr make_filter(int line, Filter filter, ExpressionPtr subject, ArgumentNodes arguments) {
  return make(line, [filter, subject = share(std::move(subject)),
                     arguments = share(std::move(arguments))](RenderContext& context) {
    const Value value = subject->evaluate(context);
    if (value.is_markup() && !takes_markup(filter)) render_error("this filter is not supported for text marked safe");
    return filter(context, value, arguments->evaluate(context));
  });
}

ExpressionPtr make_test(int line, Test test, ExpressionPtr subject, ArgumentNodes arguments) {
  return make(line, [test, subject = share(std::move(subject)),
                     arguments = share(std::move(arguments))](RenderContext& context) {
    const Value value = subject->evaluate(context);
    return Value(test(context, value, arguments->evaluate(context)));
  });
}

}  // namespace krait::server::jinja
