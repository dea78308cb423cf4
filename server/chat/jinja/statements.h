#pragma once

#include "server/chat/jinja/node.h"

namespace krait::server::jinja {

using StatementPtr = std::unique_ptr<const Statement>;

/// What an assignment or a loop assigns to: a name, a namespace's attribute, or several of these that a value is
/// unpacked into.
struct Target {
  std::string name;           ///< empty for several
  std::string attribute;      ///< of the namespace `name`; empty for a plain name
  std::vector<Target> parts;  ///< a tuple, even of one
  void assign(RenderContext& context, const Value& value) const;
};

struct ForLoop {
  Target target;
  ExpressionPtr items;
  ExpressionPtr filter;  ///< null without an `if`
  Body body;
  Body otherwise;  ///< when there was nothing to loop over
  bool recursive = false;
};

struct IfBranch {
  ExpressionPtr condition;  ///< null for else
  Body body;
};

struct MacroParameter {
  std::string name;
  ExpressionPtr fallback;  ///< null without one
};

struct Macro {
  std::string name;  ///< empty for the body of a call block
  std::vector<MacroParameter> parameters;
  Body body;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

StatementPtr make_text(Position at, std::string text);
StatementPtr make_output(Position at, ExpressionPtr value);
StatementPtr make_set(Position at, Target target, ExpressionPtr value);
StatementPtr make_for(Position at, ForLoop loop);
StatementPtr make_if(Position at, std::vector<IfBranch> branches);
StatementPtr make_jump(Position at, Flow flow);
StatementPtr make_macro(Position at, Macro macro);
/// `call`: the macro's body is the `caller` of the call, which is an expression of make_call.
StatementPtr make_call_block(Position at, ExpressionPtr call, Macro body);
/// `with`: the values are those of the scope around it.
StatementPtr make_with(Position at, std::vector<std::pair<Target, ExpressionPtr>> variables, Body body);
/// A body with a scope of its own (`generation`), or that sees the template's variables only (`block`).
StatementPtr make_block(Position at, Body body, bool isolated);

/// What a body writes, as a value; for block assignments and filter blocks.
ExpressionPtr make_captured(Position at, Body body);

}  // namespace krait::server::jinja
