#include "server/chat/jinja/loop_object.h"

#include <algorithm>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"

namespace krait::server::jinja {
namespace {

enum class LoopMethodKind { kCycle, kChanged };

class LoopMethod : public Callable {
 public:
  LoopMethod(LoopObject* loop, LoopMethodKind kind) : loop_(loop), kind_(kind) {}
  Value call(RenderContext& /*context*/, const CallArguments& arguments) const override {
    if (!arguments.named.empty()) render_error("loop's methods take no named arguments");
    if (kind_ == LoopMethodKind::kChanged) return loop_->changed(arguments.positional);
    if (arguments.positional.empty()) render_error("no items for cycling given");
    return loop_->cycle(arguments.positional);
  }

 private:
  LoopObject* loop_;
  LoopMethodKind kind_;
};

}  // namespace

const Value& LoopObject::enter(std::size_t index) {
  index_ = index;
  return items_[index];
}

bool LoopObject::changed(std::vector<Value> values) {
  const bool same = last_ && std::equal(last_->begin(), last_->end(), values.begin(), values.end(), equals);
  if (!same) last_ = std::move(values);
  return !same;
}

std::string LoopObject::text() const {
  return "<LoopContext " + std::to_string(index_ + 1) + "/" + std::to_string(items_.size()) + ">";
}

Value LoopObject::call(RenderContext& context, const CallArguments& arguments) {
  const Parameters parameters("loop", arguments, {"iterable"});
  if (!recursion_) render_error("The loop must have the 'recursive' marker to be called recursively.");
  return recursion_(context, parameters.required(0));
}

Value LoopObject::attribute(const std::string& name) {
  const auto index = static_cast<std::int64_t>(index_);
  const auto size = static_cast<std::int64_t>(items_.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == size;
  if (name == "length") return size;
  if (name == "depth") return depth_;
  if (name == "depth0") return depth_ - 1;
  if (name == "previtem") return index > 0 ? items_[index_ - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem") return index + 1 < size ? items_[index_ + 1] : Value::undefined("there is no next item");
  if (name == "cycle" || name == "changed") {
    const auto kind = name == "cycle" ? LoopMethodKind::kCycle : LoopMethodKind::kChanged;
    return std::shared_ptr<const Callable>(std::make_shared<LoopMethod>(this, kind));
  }
  return Value::undefined("'loop' has no attribute '" + name + "'");
}

}  // namespace krait::server::jinja
