#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/output/call_stage.h"
#include "server/chat/output/tool_call_format.h"

namespace krait::server {

/// A ToolCallFormat as one row: what most families need.
struct ToolCallRow {
  using Json = nlohmann::ordered_json;

  std::string name;
  std::function<bool(std::string_view)> matches;
  std::vector<std::string> special_markers;
  std::function<std::unique_ptr<OutputStage>(const std::vector<ToolDefinition>&)> make_parser;
  std::function<Json(const ToolConstraint&)> constraint;  ///< null: calls of this format cannot be forced
  bool is_harmony = false;
};

class RowFormat final : public ToolCallFormat {
 public:
  explicit RowFormat(ToolCallRow row) : row_(std::move(row)) {}
  [[nodiscard]] std::string_view name() const override { return row_.name; }
  [[nodiscard]] bool matches(std::string_view source) const override { return row_.matches(source); }
  [[nodiscard]] std::vector<std::string> special_markers() const override { return row_.special_markers; }
  [[nodiscard]] bool is_harmony() const override { return row_.is_harmony; }
  [[nodiscard]] std::unique_ptr<OutputStage> make_parser(const std::vector<ToolDefinition>& tools) const override {
    return row_.make_parser(tools);
  }
  [[nodiscard]] Result<nlohmann::ordered_json> constraint(const ToolConstraint& what) const override;

 private:
  ToolCallRow row_;
};

/// The rows, by how they write a call.
std::vector<ToolCallRow> json_call_rows();
std::vector<ToolCallRow> named_call_rows();
std::vector<ToolCallRow> xml_call_rows();
std::vector<ToolCallRow> python_call_rows();

/// A template that contains all of these.
inline std::function<bool(std::string_view)> contains(std::vector<std::string> texts) {
  return [texts = std::move(texts)](std::string_view source) {
    for (const std::string& text : texts) {
      if (source.find(text) == std::string_view::npos) return false;
    }
    return true;
  };
}

inline bool never(std::string_view /*source*/) { return false; }

}  // namespace krait::server
