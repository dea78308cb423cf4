// The bounds are checked in three places only: Step (time and depth), charge (memory) and write (output).
#include "server/chat/jinja/render_context.h"

#include <algorithm>
#include <iterator>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"

namespace krait::server::jinja {

RenderContext::RenderContext(Value globals, const RenderOptions& options)
    : globals_(std::move(globals)),
      options_(options),
      scopes_(1),
      deadline_(std::chrono::steady_clock::now() + options.limits.max_time) {}

WallClock RenderContext::now() const {
  if (options_.now) return *options_.now;
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
  const auto seconds = static_cast<std::time_t>(microseconds / 1'000'000);
  WallClock clock{.microsecond = static_cast<int>(microseconds % 1'000'000)};
  localtime_r(&seconds, &clock.time);
  return clock;
}

Value RenderContext::lookup(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto found =
        std::find_if(scope->begin(), scope->end(), [&name](const auto& entry) { return entry.first == name; });
    if (found != scope->end()) return found->second;
  }
  const Value* global = globals_.dict()->find_name(name);
  return global != nullptr ? *global : Value::undefined("'" + name + "' is undefined");
}

void RenderContext::assign(const std::string& name, Value value) {
  Variables& scope = scopes_.back();
  const auto found =
      std::find_if(scope.begin(), scope.end(), [&name](const auto& entry) { return entry.first == name; });
  if (found != scope.end()) {
    found->second = std::move(value);
  } else {
    scope.emplace_back(name, std::move(value));
  }
}

void RenderContext::write(std::string_view text) {
  charge_text(text.size());
  std::string& output = outputs_.back();
  if (output.size() + text.size() > options_.limits.max_text)
    throw TemplateError(Failure::kLimit, "the text gets too long");
  output.append(text);
}

void RenderContext::charge(std::size_t bytes) {
  if (bytes > options_.limits.max_allocated - allocated_) {
    throw TemplateError(Failure::kLimit, "the template uses too much memory");
  }
  allocated_ += bytes;
}

void RenderContext::charge_text(std::size_t bytes) {
  if (bytes > options_.limits.max_text) throw TemplateError(Failure::kLimit, "a string gets too long");
  charge(bytes);
}

void RenderContext::check_steps() {
  ++steps_;
  const bool late = steps_ % 64 == 0 && std::chrono::steady_clock::now() > deadline_;
  if (late || steps_ > options_.limits.max_steps)
    throw TemplateError(Failure::kLimit, "the template takes too many steps");
}

Step::Step(RenderContext& context, int line) : context_(context) {
  context_.check_steps();
  if (context_.depth_ >= kLimits.max_depth) throw TemplateError(Failure::kLimit, "the template nests too deeply");
  ++context_.depth_;
  context_.line_ = line;
}

MacroScope::MacroScope(RenderContext& context) : context_(context) {
  auto& scopes = context_.scopes_;
  callers_.assign(std::make_move_iterator(scopes.begin() + 1), std::make_move_iterator(scopes.end()));
  scopes.resize(1);
  scopes.emplace_back();
}

MacroScope::~MacroScope() {
  auto& scopes = context_.scopes_;
  scopes.resize(1);
  scopes.insert(scopes.end(), std::make_move_iterator(callers_.begin()), std::make_move_iterator(callers_.end()));
}

}  // namespace krait::server::jinja
