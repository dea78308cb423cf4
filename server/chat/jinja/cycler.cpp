#include "server/chat/jinja/cycler.h"

#include "server/chat/jinja/builtins.h"

namespace krait::server::jinja {
namespace {

class CyclerMethod : public Callable {
 public:
  CyclerMethod(Cycler* cycler, bool resets) : cycler_(cycler), resets_(resets) {}
  Value call(RenderContext& /*context*/, const CallArguments& arguments) const override {
    const Parameters parameters("next and reset", arguments, {});
    if (!resets_) return cycler_->next();
    cycler_->reset();
    return None{};
  }

 private:
  Cycler* cycler_;
  bool resets_;
};

}  // namespace

Value Cycler::next() {
  const std::size_t at = at_;
  at_ = (at_ + 1) % items_.size();
  return items_[at];
}

Value Cycler::attribute(const std::string& name) {
  if (name == "current") return items_[at_];
  if (name == "pos") return static_cast<std::int64_t>(at_);
  if (name == "items") return make_sequence(SequenceKind::kTuple, items_);
  if (name == "next" || name == "reset")
    return std::shared_ptr<const Callable>(std::make_shared<CyclerMethod>(this, name == "reset"));
  return Value::undefined("'Cycler object' has no attribute '" + name + "'");
}

}  // namespace krait::server::jinja
