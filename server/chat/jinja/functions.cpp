// The global functions, each as transformers or Jinja's sandbox defines it.
#include <optional>
#include <unordered_map>
#include <utility>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/cycler.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/namespace_object.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/wall_clock.h"

namespace krait::server::jinja {
namespace {

/// What Jinja's sandbox allows a range to have.
constexpr std::int64_t kMaxRange = 100'000;

using Function = Value (*)(RenderContext& context, const CallArguments& arguments);

/// dict.fromkeys(keys, value).
Value fromkeys(RenderContext& context, const CallArguments& arguments) {
  const std::optional<Value> method = find_method(make_dict({}), "fromkeys");
  return method->callable()->call(context, arguments);
}

class BuiltinFunction : public Callable {
 public:
  explicit BuiltinFunction(Function function) : function_(function) {}
  Value call(RenderContext& context, const CallArguments& arguments) const override {
    return function_(context, arguments);
  }
  [[nodiscard]] Value attribute(const std::string& name) const override;

 private:
  Function function_;
};

Value dict(RenderContext& context, const CallArguments& arguments);

Value BuiltinFunction::attribute(const std::string& name) const {
  if (function_ != &dict || name != "fromkeys") return Callable::attribute(name);
  return std::shared_ptr<const Callable>(std::make_shared<BuiltinFunction>(&fromkeys));
}

/// How many numbers lie from `begin` on before `end`, `step` apart. Unsigned, because the distance may exceed the
/// signed range.
std::uint64_t range_size(std::int64_t begin, std::int64_t end, std::int64_t step) {
  if (step > 0 ? begin >= end : begin <= end) return 0;
  const auto low = static_cast<std::uint64_t>(step > 0 ? begin : end);
  const auto high = static_cast<std::uint64_t>(step > 0 ? end : begin);
  const std::uint64_t stride =
      step > 0 ? static_cast<std::uint64_t>(step) : std::uint64_t{0} - static_cast<std::uint64_t>(step);
  return (high - low - 1) / stride + 1;
}

Value range(RenderContext& context, const CallArguments& arguments) {
  if (!arguments.named.empty()) render_error("range() takes no keyword arguments");
  const Parameters parameters("range", arguments, {"start", "stop", "step"});
  parameters.required(0);
  const bool one = parameters.find(1) == nullptr;
  const std::int64_t begin = one ? 0 : parameters.integer(0, 0);
  const std::int64_t end = parameters.integer(one ? 0 : 1, 0);
  const std::int64_t step = parameters.integer(2, 1);
  if (step == 0) render_error("range() arg 3 must not be zero");
  const std::uint64_t size = range_size(begin, end, step);
  if (size > kMaxRange) render_error("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  context.charge(size * sizeof(Value));
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < size; ++i) items.emplace_back(begin + static_cast<std::int64_t>(i) * step);
  return make_range(begin, end, step, std::move(items));
}

/// dict(…) and namespace(…) take a dict or a list of pairs, named arguments, or both.
Dict named_values(RenderContext& context, std::string_view function, const CallArguments& arguments) {
  Dict values;
  if (arguments.positional.size() > 1) render_error(std::string(function) + "() takes at most one positional argument");
  if (!arguments.positional.empty()) {
    const Value& source = require_defined(arguments.positional[0]);
    context.charge(weight_of(source));
    if (source.dict() != nullptr) {
      values = *source.dict();
    } else {
      for (const Value& item : iterate(context, source)) {
        const std::vector<Value> pair = iterate(context, item);
        if (pair.size() != 2) render_error(std::string(function) + "() needs pairs of a key and a value");
        values.set(pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) values.set(name, value);
  return values;
}

Value dict(RenderContext& context, const CallArguments& arguments) {
  Dict values = named_values(context, "dict", arguments);
  context.charge(values.items.size() * 4 * sizeof(Value));
  return make_dict(std::move(values));
}

Value make_namespace(RenderContext& context, const CallArguments& arguments) {
  const Dict values = named_values(context, "namespace", arguments);
  context.charge(values.items.size() * 4 * sizeof(Value) + sizeof(Namespace));
  auto* object = context.make_object<Namespace>();
  for (const auto& [key, value] : values.items) object->set_attribute(to_text(key), value);
  return static_cast<Object*>(object);
}

Value raise_exception(RenderContext& context, const CallArguments& arguments) {
  const Parameters parameters("raise_exception", arguments, {"message"});
  throw TemplateError(Failure::kRaised, to_text(context, parameters.required(0)), context.position());
}

Value strftime_now(RenderContext& context, const CallArguments& arguments) {
  const Parameters parameters("strftime_now", arguments, {"format"});
  parameters.required(0);
  if (parameters.required(0).string() == nullptr) render_error("strftime_now() needs a str");
  const std::string format = *parameters.required(0).string();
  context.charge_text(format.size());
  std::string text = format_time(format, context.now());
  context.charge_text(text.size());
  return text;
}

Value make_cycler(RenderContext& context, const CallArguments& arguments) {
  if (!arguments.named.empty()) render_error("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) render_error("at least one item has to be provided");
  return static_cast<Object*>(context.make_object<Cycler>(arguments.positional));
}

/// Nothing at its first call, the separator from then on.
class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  [[nodiscard]] std::string_view type_name() const override { return "Joiner"; }
  [[nodiscard]] Value attribute(const std::string& name) override {
    if (name == "sep") return separator_;
    return name == "used" ? Value(used_) : Value::undefined("'Joiner object' has no attribute '" + name + "'");
  }
  Value call(RenderContext& /*context*/, const CallArguments& arguments) override {
    const Parameters parameters("joiner", arguments, {});
    return std::exchange(used_, true) ? separator_ : Value("");
  }

 private:
  Value separator_;
  bool used_ = false;
};

Value make_joiner(RenderContext& context, const CallArguments& arguments) {
  const Parameters parameters("joiner", arguments, {"sep"});
  const Value separator = parameters.find(0) != nullptr ? *parameters.find(0) : Value(", ");
  return static_cast<Object*>(context.make_object<Joiner>(separator));
}

Value lipsum(RenderContext& /*context*/, const CallArguments& /*arguments*/) {
  throw TemplateError(Failure::kUnsupported, "the function 'lipsum' is not supported: its text is random");
}

}  // namespace

Value find_function(const std::string& name) {
  static const std::unordered_map<std::string, Function> functions = {{"range", &range},
                                                                      {"dict", &dict},
                                                                      {"namespace", &make_namespace},
                                                                      {"cycler", &make_cycler},
                                                                      {"joiner", &make_joiner},
                                                                      {"lipsum", &lipsum},
                                                                      {"raise_exception", &raise_exception},
                                                                      {"strftime_now", &strftime_now}};
  const auto found = functions.find(name);
  if (found == functions.end()) return {};
  return std::shared_ptr<const Callable>(std::make_shared<BuiltinFunction>(found->second));
}

}  // namespace krait::server::jinja
