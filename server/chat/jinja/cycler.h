#pragma once

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// cycler(…): gives its items in turn.
class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  [[nodiscard]] std::string_view type_name() const override { return "Cycler"; }
  [[nodiscard]] Value attribute(const std::string& name) override;

  /// The current item; moves on.
  Value next();
  void reset() { at_ = 0; }

 private:
  std::vector<Value> items_;
  std::size_t at_ = 0;
};

}  // namespace krait::server::jinja
