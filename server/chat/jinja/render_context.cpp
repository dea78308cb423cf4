// The bounds are checked in three places only: Step and count_steps (time and depth), charge (memory) and write
// (output).
#include "server/chat/jinja/render_context.h"

#include <algorithm>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/limits.h"

namespace krait::server::jinja {
namespace {

/// Of steps, between two looks at the clock.
constexpr std::size_t kClockInterval = 64;

}  // namespace

RenderContext::RenderContext(Value globals, const RenderOptions& options)
    : globals_(std::move(globals)),
      options_(options),
      deadline_(std::chrono::steady_clock::now() + options.limits.max_time) {
  enter(nullptr);
}

WallClock RenderContext::now() const {
  if (options_.now) return *options_.now;
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
  const auto seconds = static_cast<std::time_t>(microseconds / 1'000'000);
  WallClock clock{.time = {}, .microsecond = static_cast<int>(microseconds % 1'000'000)};
  localtime_r(&seconds, &clock.time);
  return clock;
}

Value RenderContext::lookup(const std::string& name) const {
  for (const Environment* scope = current_; scope != nullptr; scope = scope->parent) {
    const auto& variables = scope->variables;
    const auto found =
        std::find_if(variables.begin(), variables.end(), [&name](const auto& entry) { return entry.first == name; });
    if (found != variables.end()) return found->second;
  }
  const Value* global = globals_.dict()->find_name(name);
  return global != nullptr ? *global : Value::undefined("'" + name + "' is undefined");
}

void RenderContext::assign(const std::string& name, Value value) {
  auto& variables = current_->variables;
  const auto found =
      std::find_if(variables.begin(), variables.end(), [&name](const auto& entry) { return entry.first == name; });
  if (found != variables.end()) {
    found->second = std::move(value);
  } else {
    variables.emplace_back(name, std::move(value));
  }
}

Environment* RenderContext::capture_environment() {
  for (Environment* scope = current_; scope != nullptr && !scope->captured; scope = scope->parent)
    scope->captured = true;
  return current_;
}

void RenderContext::enter(Environment* parent) {
  if (free_.empty()) {
    charge(sizeof(Environment));
    environments_.push_back(std::make_unique<Environment>());
    free_.push_back(environments_.back().get());
  }
  current_ = free_.back();
  free_.pop_back();
  current_->parent = parent;
}

void RenderContext::leave(Environment* before) {
  if (!current_->captured) {
    current_->variables.clear();
    free_.push_back(current_);
  }
  current_ = before;
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

void RenderContext::count_steps(std::size_t steps) {
  steps_ += steps;
  bool late = false;
  if (steps_ >= next_look_at_clock_) {
    next_look_at_clock_ = steps_ + kClockInterval;
    late = std::chrono::steady_clock::now() > deadline_;
  }
  if (late || steps_ > options_.limits.max_steps)
    throw TemplateError(Failure::kLimit, "the template takes too many steps");
}

Step::Step(RenderContext& context, Position at) : context_(context) {
  context_.count_steps(1);
  if (context_.depth_ >= kLimits.max_depth) throw TemplateError(Failure::kLimit, "the template nests too deeply");
  ++context_.depth_;
  context_.at_ = at;
}

}  // namespace krait::server::jinja
