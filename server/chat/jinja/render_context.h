#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/chat_template.h"
#include "server/chat/jinja/position.h"
#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// The variables of one scope, and the scope around it. A macro keeps the scope that it was defined in.
struct Environment {
  Environment* parent = nullptr;
  std::vector<std::pair<std::string, Value>> variables;
  bool captured = false;  ///< by a macro, which may outlive the scope
};

/// The state of one rendering: variables, output, and what has been used of the limits. One thread.
class RenderContext {
 public:
  /// `globals` (a dict) are the variables that the caller passes, seen where no scope has the name.
  RenderContext(Value globals, const RenderOptions& options);

  /// The time that the template sees.
  [[nodiscard]] WallClock now() const;
  /// Of the node that is evaluated.
  [[nodiscard]] Position position() const { return at_; }

  /// A variable, or undefined.
  [[nodiscard]] Value lookup(const std::string& name) const;
  /// Sets a variable of the innermost scope.
  void assign(const std::string& name, Value value);

  /// The innermost scope, which lives as long as the rendering from now on.
  Environment* capture_environment();
  [[nodiscard]] Environment* environment() const { return current_; }
  /// The template's own scope.
  [[nodiscard]] Environment* root() const { return environments_.front().get(); }

  /// The caller keeps `object` no longer than the rendering lasts.
  template <typename T, typename... Arguments>
  T* make_object(Arguments&&... arguments) {
    charge(sizeof(T));
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
  /// Counts work that no node stands for, such as the items that a builtin looks at.
  void count_steps(std::size_t steps);

 private:
  void enter(Environment* parent);
  void leave(Environment* before);

  friend class Step;
  friend class Scope;
  friend class Capture;

  Value globals_;
  RenderOptions options_;
  // Declared before the variables: values that hold objects go first.
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<std::unique_ptr<Environment>> environments_;
  std::vector<Environment*> free_;  ///< for the next scopes
  Environment* current_ = nullptr;
  std::vector<std::string> outputs_ =
      std::vector<std::string>(1);  ///< the rendering's, and one per capture in progress
  Position at_;
  int depth_ = 0;
  std::size_t steps_ = 0;
  std::size_t next_look_at_clock_ = 0;
  std::size_t allocated_ = 0;
  std::chrono::steady_clock::time_point deadline_;
};

/// The evaluation of one node: a step, one level deeper.
class Step {
 public:
  Step(RenderContext& context, Position at);
  ~Step() { --context_.depth_; }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  RenderContext& context_;
};

/// A scope of variables inside the current one, or inside `parent` (a macro's body, which sees nothing of its caller).
class Scope {
 public:
  explicit Scope(RenderContext& context) : Scope(context, context.current_) {}
  Scope(RenderContext& context, Environment* parent) : context_(context), before_(context.current_) {
    context_.enter(parent);
  }
  ~Scope() { context_.leave(before_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  RenderContext& context_;
  Environment* before_;
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
