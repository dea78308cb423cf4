#include "server/chat/output/structural_tag.h"

namespace krait::server::structural_tag {

Json const_string(const std::string& text) { return {{"type", "const_string"}, {"value", text}}; }

Json json_schema(const Json& schema, const std::string& style) {
  // Constrained models may fall into white space without end. Values as elements stand on lines of their own at most:
  // more around them would be read as theirs.
  Json format = {{"type", "json_schema"}, {"json_schema", schema}, {"max_whitespace_cnt", style == "json" ? 2 : 1}};
  if (style != "json") format["style"] = style;
  return format;
}

Json any_text() { return {{"type", "any_text"}}; }

Json tag(const std::string& begin, const Json& content, const std::string& end) {
  return {{"type", "tag"}, {"begin", begin}, {"content", content}, {"end", end}};
}

Json sequence(const std::vector<Json>& elements) { return {{"type", "sequence"}, {"elements", elements}}; }

Json either(const std::vector<Json>& elements) {
  if (elements.size() == 1) return elements.front();
  return {{"type", "or"}, {"elements", elements}};
}

Json optional(const Json& content) { return {{"type", "optional"}, {"content", content}}; }

Json separated(const std::vector<Json>& tags, const std::string& separator, bool parallel) {
  return {{"type", "tags_with_separator"},
          {"tags", tags},
          {"separator", separator},
          {"at_least_one", true},
          {"stop_after_first", !parallel}};
}

Json triggered(const std::string& trigger, const std::vector<Json>& tags, bool parallel) {
  return {{"type", "triggered_tags"},
          {"triggers", Json::array({trigger})},
          {"tags", tags},
          {"at_least_one", false},
          {"stop_after_first", !parallel}};
}

Json parameters_of(const ToolDefinition& tool) {
  if (tool.parameters.is_object() && !tool.parameters.empty()) return tool.parameters;
  return {{"type", "object"}};
}

std::vector<const ToolDefinition*> callable(const ToolConstraint& what) {
  std::vector<const ToolDefinition*> tools;
  for (const ToolDefinition& tool : what.tools) {
    if (what.choice != ToolChoice::kNamed || tool.name == what.name) tools.push_back(&tool);
  }
  return tools;
}

bool several(const ToolConstraint& what) { return what.parallel && what.choice != ToolChoice::kNamed; }

namespace {

std::vector<Json> call_tags(const ToolConstraint& what, const CallTag& call) {
  std::vector<Json> tags;
  for (const ToolDefinition* tool : callable(what)) tags.push_back(call(*tool));
  return tags;
}

}  // namespace

Json calls(const ToolConstraint& what, const std::string& trigger, const std::string& separator, const CallTag& call) {
  const std::vector<Json> tags = call_tags(what, call);
  if (what.choice == ToolChoice::kAuto) return triggered(trigger, tags, several(what));
  return separated(tags, separator, several(what));
}

Json bracketed_calls(const ToolConstraint& what, const std::string& trigger, const std::string& begin,
                     const std::string& separator, const std::string& end, const CallTag& call) {
  const Json brackets = tag(begin, separated(call_tags(what, call), separator, several(what)), end);
  // Everything of a message stands between one pair of brackets: text goes on after them with kAuto only.
  return what.choice == ToolChoice::kAuto ? triggered(trigger, {brackets}, several(what)) : brackets;
}

}  // namespace krait::server::structural_tag
