// Loops, also recursive ones: `loop(items)` renders the loop's body for other items and gives the text.
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/loop_object.h"
#include "server/chat/jinja/statements.h"

namespace krait::server::jinja {
namespace {

class ForStatement : public Statement {
 public:
  ForStatement(Position at, ForLoop loop) : Statement(at), loop_(std::move(loop)) {}

 private:
  Flow run(RenderContext& context) const override {
    loop_over(context, context.environment(), loop_.items->evaluate(context), 1);
    return Flow::kNext;
  }

  /// `around` is the scope that the loop stands in, also for what it is called with further in.
  void loop_over(RenderContext& context, Environment* around, const Value& source, std::int64_t depth) const {
    std::vector<Value> items = filtered(context, around, iterate(context, source));
    auto* loop = context.make_object<LoopObject>(std::move(items), depth);
    if (loop_.recursive) loop->set_recursion(recursion(around, depth));
    bool completed = false;
    for (std::size_t i = 0; i < loop->size(); ++i) {
      const Scope scope(context, around);
      context.assign("loop", static_cast<Object*>(loop));
      loop_.target.assign(context, loop->enter(i));
      const Flow flow = execute_body(loop_.body, context);
      completed = completed || flow == Flow::kNext;
      if (flow == Flow::kBreak) {
        if (!loop_.filter) leave_rest(source, loop->size() - i - 1);
        break;
      }
    }
    loop->set_recursion(nullptr);
    // As Jinja has it, also a loop whose every turn ended in `break` or `continue` went round in vain.
    if (completed) return;
    const Scope scope(context, around);
    execute_body(loop_.otherwise, context);
  }

  [[nodiscard]] LoopObject::Recursion recursion(Environment* around, std::int64_t depth) const {
    return [this, around, depth](RenderContext& context, const Value& items) {
      require_defined(items);
      const Step step(context, context.position());
      Capture capture(context);
      loop_over(context, around, items, depth + 1);
      return Value(capture.take());
    };
  }

  [[nodiscard]] std::vector<Value> filtered(RenderContext& context, Environment* around,
                                            std::vector<Value> items) const {
    if (!loop_.filter) return items;
    std::vector<Value> kept;
    for (Value& item : items) {
      const Scope scope(context, around);
      loop_.target.assign(context, item);
      if (is_true(loop_.filter->evaluate(context))) kept.push_back(std::move(item));
    }
    return kept;
  }

  ForLoop loop_;
};

}  // namespace

StatementPtr make_for(Position at, ForLoop loop) { return std::make_unique<ForStatement>(at, std::move(loop)); }

}  // namespace krait::server::jinja
