#include "server/chat/output/tool_call_format.h"

#include <array>

#include "server/chat/output/format_table.h"
#include "server/chat/output/structural_tag.h"

namespace krait::server {

Result<nlohmann::ordered_json> RowFormat::constraint(const ToolConstraint& what) const {
  if (!row_.constraint) {
    if (what.choice == ToolChoice::kAuto) return structural_tag::any_text();
    return Error{ErrorCode::kUnsupported,
                 "tool calls in the format '" + row_.name + "' cannot be forced; tool_choice must be auto or none",
                 "tool_choice"};
  }
  return row_.constraint(what);
}

const std::vector<const ToolCallFormat*>& tool_call_formats() {
  static const std::vector<const ToolCallFormat*> kFormats = [] {
    // Owned until the program ends. The order decides which of two that match is chosen: special ones come first.
    static std::vector<std::unique_ptr<const RowFormat>> owned;
    for (auto* rows : {&named_call_rows, &python_call_rows, &xml_call_rows, &json_call_rows}) {
      std::vector<ToolCallRow> all = (*rows)();
      for (ToolCallRow& row : all) owned.push_back(std::make_unique<const RowFormat>(std::move(row)));
    }
    std::vector<const ToolCallFormat*> formats;
    for (const auto& format : owned) formats.push_back(format.get());
    return formats;
  }();
  return kFormats;
}

Result<const ToolCallFormat*> find_tool_call_format(std::string_view name) {
  if (name == "none") return static_cast<const ToolCallFormat*>(nullptr);
  std::string known;
  for (const ToolCallFormat* format : tool_call_formats()) {
    if (format->name() == name) return format;
    known += ", " + std::string(format->name());
  }
  return Error{ErrorCode::kInvalidArgument,
               "unknown tool-call parser '" + std::string(name) + "'; known ones: auto, none" + known,
               "--tool-call-parser"};
}

}  // namespace krait::server
