#pragma once

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// namespace(…): the one thing whose content a template can change, also from inside a loop.
class Namespace : public Object {
 public:
  [[nodiscard]] std::string_view type_name() const override { return "Namespace"; }
  [[nodiscard]] Value attribute(const std::string& name) override;
  [[nodiscard]] std::string text() const override;
  /// Refuses names that begin with an underscore, as transformers does.
  void set_attribute(const std::string& name, Value value) override;

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

}  // namespace krait::server::jinja
