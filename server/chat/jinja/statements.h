#pragma once

#include "server/chat/jinja/node.h"

namespace krait::server::jinja {

using StatementPtr = std::unique_ptr<const Statement>;

/// What an assignment or a loop assigns to: a name, the names that a value is unpacked into, or a namespace's
/// attribute.
struct Target {
  std::vector<std::string> names;
  bool unpacks = false;   ///< a tuple of names, even of one
  std::string attribute;  ///< of the namespace names[0]; empty for a plain target
  void assign(RenderContext& context, const Value& value) const;
};

struct ForLoop {
  Target target;
  ExpressionPtr items;
  ExpressionPtr filter;  ///< null without an `if`
  Body body;
  Body otherwise;  ///< when there was nothing to loop over
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
  std::string name;
  std::vector<MacroParameter> parameters;
  Body body;
};

StatementPtr make_text(int line, std::string text);
StatementPtr make_output(int line, ExpressionPtr value);
StatementPtr make_set(int line, Target target, ExpressionPtr value);
StatementPtr make_for(int line, ForLoop loop);
StatementPtr make_if(int line, std::vector<IfBranch> branches);
StatementPtr make_jump(int line, Flow flow);
StatementPtr make_macro(int line, Macro macro);
/// A body that stands for itself (`generation`).
StatementPtr make_block(int line, Body body);

/// What a body writes, as a value; for block assignments and filter blocks.
ExpressionPtr make_captured(int line, Body body);

}  // namespace krait::server::jinja
