#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/chat_template.h"
#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// The state of one rendering: variables, output, and what has been used of the limits. One thread.
class RenderContext {
 public:
  /// `globals` (a dict) are the variables that the caller passes, seen where no scope has the name.
  RenderContext(Value globals, const RenderOptions& options);

  /// The time that the template sees.
  [[nodiscard]] WallClock now() const;
  [[nodiscard]] int line() const { return line_; }

  /// A variable, or undefined.
  [[nodiscard]] Value lookup(const std::string& name) const;
  /// Sets a variable of the innermost scope.
  void assign(const std::string& name, Value value);

  /// The caller keeps `object` no longer than the rendering lasts.
  template <typename T, typename... Arguments>
  T* make_object(Arguments&&... arguments) {
    auto object = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    T* pointer = object.get();
    objects_.push_back(std::move(object));
    return pointer;
  }

  void write(std::string_view text);
  /// What was written; the context is done.
  std::string take_output() { return std::move(outputs_.front()); }

  /// Counts memory that a value takes; fails past the limits. Called before the value is made.
  void charge(std::size_t bytes);
  /// The same for a string.
  void charge_text(std::size_t bytes);

 private:
  void check_steps();

  friend class Step;
  friend class Scope;
  friend class MacroScope;
  friend class Capture;
  using Variables = std::vector<std::pair<std::string, Value>>;

  Value globals_;
  RenderOptions options_;
  std::vector<Variables> scopes_;
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<std::string> outputs_ =
      std::vector<std::string>(1);  ///< the rendering's, and one per capture in progress
  int line_ = 0;
  int depth_ = 0;
  std::size_t steps_ = 0;
  std::size_t allocated_ = 0;
  std::chrono::steady_clock::time_point deadline_;
};

/// The evaluation of one node: a step, one level deeper.
class Step {
 public:
  Step(RenderContext& context, int line);
  ~Step() { --context_.depth_; }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  RenderContext& context_;
};

/// A scope of variables inside the current one.
class Scope {
 public:
  explicit Scope(RenderContext& context) : context_(context) { context_.scopes_.emplace_back(); }
  ~Scope() { context_.scopes_.pop_back(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  RenderContext& context_;
};

/// The scope of a macro's body, which sees the template's own variables but none of its caller's.
class MacroScope {
 public:
  explicit MacroScope(RenderContext& context);
  ~MacroScope();
  MacroScope(const MacroScope&) = delete;
  MacroScope& operator=(const MacroScope&) = delete;

 private:
  RenderContext& context_;
  std::vector<RenderContext::Variables> callers_;  ///< the scopes put aside
};

/// Collects what is written while it lives.
class Capture {
 public:
  explicit Capture(RenderContext& context) : context_(context) { context_.outputs_.emplace_back(); }
  ~Capture() { context_.outputs_.pop_back(); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string take() { return std::move(context_.outputs_.back()); }

 private:
  RenderContext& context_;
};

}  // namespace krait::server::jinja
