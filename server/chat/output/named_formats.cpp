#include "server/chat/output/format_table.h"
#include "server/chat/output/harmony_stage.h"
#include "server/chat/output/named_call_body.h"
#include "server/chat/output/structural_tag.h"

namespace krait::server {
namespace {

using structural_tag::Json;

auto named_parser(CallMarkers markers, NamedCallLayout layout) {
  return [markers = std::move(markers), layout = std::move(layout)](const std::vector<ToolDefinition>& /*tools*/) {
    return std::make_unique<CallStage>(markers, [layout](int) { return std::make_unique<NamedCallBody>(layout); });
  };
}

structural_tag::CallTag named(const std::string& before, const std::string& between, const std::string& after) {
  return [=](const ToolDefinition& tool) {
    return structural_tag::tag(before + tool.name + between,
                               structural_tag::json_schema(structural_tag::parameters_of(tool)), after);
  };
}

ToolCallRow deepseek_row(const std::string& name, const std::vector<std::string>& signs, NamedCallLayout layout,
                         const structural_tag::CallTag& call, const std::string& separator) {
  const std::string begin = "<｜tool▁calls▁begin｜>";
  const std::string end = "<｜tool▁calls▁end｜>";
  const CallMarkers markers{{"<｜tool▁call▁begin｜>"}, {"<｜tool▁call▁end｜>"}, {begin, end}};
  return {name,
          contains(signs),
          {begin, end, "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"},
          named_parser(markers, std::move(layout)),
          [=](const ToolConstraint& what) {
            return structural_tag::bracketed_calls(what, begin, begin, separator, end, call);
          }};
}

ToolCallRow kimi_row() {
  const std::string begin = "<|tool_calls_section_begin|>";
  const std::string end = "<|tool_calls_section_end|>";
  NamedCallLayout layout;
  layout.after_name = {"<|tool_call_argument_begin|>"};
  layout.end = "<|tool_call_end|>";
  layout.kimi_header = true;
  const CallMarkers markers{{"<|tool_call_begin|>"}, {"<|tool_call_end|>"}, {begin, end}};
  const structural_tag::CallTag call = [](const ToolDefinition& tool) {
    // The number counts calls; any is valid.
    const Json number = {{"type", "regex"}, {"pattern", "[0-9]{1,3}"}};
    return structural_tag::tag(
        "<|tool_call_begin|>functions." + tool.name + ":",
        structural_tag::sequence({number, structural_tag::const_string("<|tool_call_argument_begin|>"),
                                  structural_tag::json_schema(structural_tag::parameters_of(tool))}),
        "<|tool_call_end|>");
  };
  return {
      "kimi_k2",
      contains({"<|tool_call_begin|>", "<|tool_call_argument_begin|>"}),
      {begin, end, "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"},
      named_parser(markers, layout),
      [=](const ToolConstraint& what) { return structural_tag::bracketed_calls(what, begin, begin, "", end, call); }};
}

/// With kAuto any harmony messages are valid: the format's own tokens already say which are calls.
Json harmony_constraint(const ToolConstraint& what) {
  const auto call = named("<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", "<|call|>");
  if (what.choice == ToolChoice::kAuto) {
    return structural_tag::calls(what, "<|channel|>commentary to=functions.", "", call);
  }
  // A call ends the model's turn.
  std::vector<Json> tags;
  for (const ToolDefinition* tool : structural_tag::callable(what)) tags.push_back(call(*tool));
  return structural_tag::separated(tags, "", false);
}

}  // namespace

std::vector<ToolCallRow> named_call_rows() {
  std::vector<ToolCallRow> rows;
  rows.push_back(
      {"openai",
       contains({"<|channel|>", "<|call|>"}),
       {"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"},
       [](const std::vector<ToolDefinition>& /*tools*/) { return std::make_unique<HarmonyStage>(false, true); },
       harmony_constraint,
       true});
  rows.push_back(kimi_row());

  NamedCallLayout fenced;
  fenced.before_name = "<｜tool▁sep｜>";
  fenced.after_name = {"```json"};
  fenced.end = "<｜tool▁call▁end｜>";
  rows.push_back(deepseek_row(
      "deepseek_v3", {"<｜tool▁call▁begin｜>", "```json"}, fenced,
      named("<｜tool▁call▁begin｜>function<｜tool▁sep｜>", "\n```json\n", "\n```<｜tool▁call▁end｜>"), "\n"));

  NamedCallLayout plain;
  plain.after_name = {"<｜tool▁sep｜>"};
  plain.end = "<｜tool▁call▁end｜>";
  rows.push_back(deepseek_row("deepseek_v31", {"<｜tool▁call▁begin｜>"}, plain,
                              named("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"), ""));
  return rows;
}

}  // namespace krait::server
