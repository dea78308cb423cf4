#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// A node of an expression. Immutable after parsing, so that many renderings can share it.
class Expression {
 public:
  explicit Expression(Position at) : at_(at) {}
  virtual ~Expression() = default;
  [[nodiscard]] Value evaluate(RenderContext& context) const {
    const Step step(context, at_);
    return compute(context);
  }
  [[nodiscard]] Position at() const { return at_; }

 private:
  [[nodiscard]] virtual Value compute(RenderContext& context) const = 0;
  Position at_;
};
using ExpressionPtr = std::unique_ptr<const Expression>;

/// How a statement ended.
enum class Flow { kNext, kBreak, kContinue };

class Statement {
 public:
  explicit Statement(Position at) : at_(at) {}
  virtual ~Statement() = default;
  Flow execute(RenderContext& context) const {
    const Step step(context, at_);
    return run(context);
  }

 private:
  virtual Flow run(RenderContext& context) const = 0;
  Position at_;
};

/// A row of statements: a template, or what a tag encloses.
using Body = std::vector<std::unique_ptr<const Statement>>;
Flow execute_body(const Body& body, RenderContext& context);
/// What the body writes.
std::string capture_body(const Body& body, RenderContext& context);

/// The arguments of a call, before they are evaluated.
struct ArgumentNodes {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr spread;        ///< *values, behind the positional ones; null without
  ExpressionPtr named_spread;  ///< **values
  [[nodiscard]] CallArguments evaluate(RenderContext& context) const;
};

}  // namespace krait::server::jinja
