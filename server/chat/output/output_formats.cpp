#include "server/chat/output/output_formats.h"

#include <algorithm>
#include <utility>

namespace krait::server {
namespace {

template <typename Format>
const Format* first_match(const std::vector<const Format*>& formats, std::string_view template_source) {
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const Format* format) { return format->matches(template_source); });
  return found == formats.end() ? nullptr : *found;
}

bool is_automatic(std::string_view name) { return name.empty() || name == "auto"; }

nlohmann::ordered_json after_reasoning(const OutputFormats& formats, PromptThinking prompt,
                                       nlohmann::ordered_json answer) {
  if (formats.reasoning == nullptr) return answer;
  return formats.reasoning->constraint(prompt, std::move(answer));
}

std::string tag_text(nlohmann::ordered_json format) {
  const nlohmann::ordered_json tag = {{"type", "structural_tag"}, {"format", std::move(format)}};
  // Never throws: a schema with bytes that are not UTF-8 is no JSON, so requests cannot hold one.
  return tag.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::vector<std::string> OutputFormats::special_markers() const {
  std::vector<std::string> markers;
  if (tool_calls != nullptr) markers = tool_calls->special_markers();
  if (reasoning != nullptr) {
    for (std::string& marker : reasoning->special_markers()) markers.push_back(std::move(marker));
  }
  std::sort(markers.begin(), markers.end());
  markers.erase(std::unique(markers.begin(), markers.end()), markers.end());
  return markers;
}

OutputFormats identify_formats(std::string_view template_source) {
  return {first_match(tool_call_formats(), template_source), first_match(reasoning_formats(), template_source)};
}

Result<OutputFormats> select_formats(std::string_view template_source, std::string_view tool_call_parser,
                                     std::string_view reasoning_parser) {
  OutputFormats formats = identify_formats(template_source);
  if (!is_automatic(tool_call_parser)) {
    auto found = find_tool_call_format(tool_call_parser);
    if (!found.ok()) return found.error();
    formats.tool_calls = *found;
  }
  if (!is_automatic(reasoning_parser)) {
    auto found = find_reasoning_format(reasoning_parser);
    if (!found.ok()) return found.error();
    formats.reasoning = *found;
  }
  return formats;
}

Result<std::string> tool_constraint(const OutputFormats& formats, PromptThinking prompt, const ToolConstraint& what) {
  if (formats.tool_calls == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 "tool calls cannot be forced: the format of this model's calls is not known (--tool-call-parser)",
                 "tool_choice"};
  }
  const bool named = what.choice == ToolChoice::kNamed;
  if (named && std::none_of(what.tools.begin(), what.tools.end(),
                            [&](const ToolDefinition& tool) { return tool.name == what.name; })) {
    return Error{ErrorCode::kInvalidArgument, "there is no tool '" + what.name + "' among tools", "tool_choice"};
  }
  if (what.tools.empty()) {
    return Error{ErrorCode::kInvalidArgument, "there are no tools to call", "tool_choice"};
  }
  auto answer = formats.tool_calls->constraint(what);
  if (!answer.ok()) return answer.error();
  return tag_text(after_reasoning(formats, prompt, std::move(*answer)));
}

std::string constraint_after_reasoning(const OutputFormats& formats, PromptThinking prompt,
                                       const nlohmann::ordered_json& answer) {
  return tag_text(after_reasoning(formats, prompt, answer));
}

}  // namespace krait::server
