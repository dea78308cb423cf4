// The global functions, each as transformers or Jinja's sandbox defines it.
#include <unordered_map>

#include "server/chat/jinja/builtins.h"
#include "server/chat/jinja/error.h"
#include "server/chat/jinja/namespace_object.h"
#include "server/chat/jinja/render_context.h"
#include "server/chat/jinja/wall_clock.h"

namespace krait::server::jinja {
namespace {

/// What Jinja's sandbox allows a range to have.
constexpr std::int64_t kMaxRange = 100'000;

using Function = Value (*)(RenderContext& context, const CallArguments& arguments);

class BuiltinFunction : public Callable {
 public:
  explicit BuiltinFunction(Function function) : function_(function) {}
  Value call(RenderContext& context, const CallArguments& arguments) const override {
    return function_(context, arguments);
  }

 private:
  Function function_;
};

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
  return make_sequence(SequenceKind::kRange, std::move(items));
}

/// dict(…) and namespace(…) take a dict, pairs as named arguments, or both.
Dict named_values(std::string_view function, const CallArguments& arguments) {
  Dict values;
  if (arguments.positional.size() > 1 || (!arguments.positional.empty() && arguments.positional[0].dict() == nullptr)) {
    render_error(std::string(function) + "() takes a dict and named arguments here");
  }
  if (!arguments.positional.empty()) values = *arguments.positional[0].dict();
  for (const auto& [name, value] : arguments.named) values.set(name, value);
  return values;
}

Value dict(RenderContext& context, const CallArguments& arguments) {
  Dict values = named_values("dict", arguments);
  context.charge(values.items.size() * 4 * sizeof(Value));
  return make_dict(std::move(values));
}

Value make_namespace(RenderContext& context, const CallArguments& arguments) {
  const Dict values = named_values("namespace", arguments);
  context.charge(values.items.size() * 4 * sizeof(Value) + sizeof(Namespace));
  auto* object = context.make_object<Namespace>();
  for (const auto& [key, value] : values.items) object->set_attribute(to_text(key), value);
  return static_cast<Object*>(object);
}

Value raise_exception(RenderContext& context, const CallArguments& arguments) {
  const Parameters parameters("raise_exception", arguments, {"message"});
  throw TemplateError(Failure::kRaised, to_text(parameters.required(0)), context.line());
}

Value strftime_now(RenderContext& context, const CallArguments& arguments) {
  const Parameters parameters("strftime_now", arguments, {"format"});
  parameters.required(0);
  const std::string format = parameters.text(0, "");
  if (format.empty()) return "";
  context.charge_text(format.size());
  std::string text = format_time(format, context.now());
  context.charge_text(text.size());
  return text;
}

}  // namespace

Value find_function(const std::string& name) {
  static const std::unordered_map<std::string, Function> functions = {{"range", &range},
                                                                      {"dict", &dict},
                                                                      {"namespace", &make_namespace},
                                                                      {"raise_exception", &raise_exception},
                                                                      {"strftime_now", &strftime_now}};
  const auto found = functions.find(name);
  if (found == functions.end()) return {};
  return std::shared_ptr<const Callable>(std::make_shared<BuiltinFunction>(found->second));
}

}  // namespace krait::server::jinja
