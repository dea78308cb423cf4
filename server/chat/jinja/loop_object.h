#pragma once

#include <functional>
#include <optional>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// `loop` inside a for loop.
class LoopObject : public Object {
 public:
  LoopObject(std::vector<Value> items, std::int64_t depth) : items_(std::move(items)), depth_(depth) {}

  [[nodiscard]] std::string_view type_name() const override { return "LoopContext"; }
  [[nodiscard]] Value attribute(const std::string& name) override;
  [[nodiscard]] std::string text() const override;
  Value call(RenderContext& context, const CallArguments& arguments) override;

  /// Renders the loop's body for other items; for a recursive loop, while it runs.
  using Recursion = std::function<Value(RenderContext&, const Value&)>;
  void set_recursion(Recursion recursion) { recursion_ = std::move(recursion); }

  [[nodiscard]] std::size_t size() const { return items_.size(); }
  /// Moves on to item `index` and gives it.
  const Value& enter(std::size_t index);
  /// loop.changed(values): whether they differ from those of the last call.
  bool changed(std::vector<Value> values);
  /// loop.cycle(values): the one whose turn it is.
  [[nodiscard]] const Value& cycle(const std::vector<Value>& values) const { return values[index_ % values.size()]; }

 private:
  std::vector<Value> items_;
  std::int64_t depth_;
  std::size_t index_ = 0;
  std::optional<std::vector<Value>> last_;
  Recursion recursion_;
};

}  // namespace krait::server::jinja
