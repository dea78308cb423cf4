#include "server/chat/output/choosing_call_body.h"
#include "server/chat/output/format_table.h"
#include "server/chat/output/json_call_body.h"
#include "server/chat/output/named_call_body.h"
#include "server/chat/output/structural_tag.h"

namespace krait::server {
namespace {

using structural_tag::Json;

std::unique_ptr<OutputStage> json_stage(CallMarkers markers, bool strict = false) {
  JsonCallLayout layout{markers.end, strict};
  return std::make_unique<CallStage>(std::move(markers),
                                     [layout](int) { return std::make_unique<JsonCallBody>(layout); });
}

auto json_parser(CallMarkers markers) {
  return [markers = std::move(markers)](const std::vector<ToolDefinition>& /*tools*/) { return json_stage(markers); };
}

/// {"name": …, "arguments": …} after `before`, before `after`.
structural_tag::CallTag object(const std::string& before, const std::string& after,
                               const std::string& arguments = "arguments") {
  return [=](const ToolDefinition& tool) {
    return structural_tag::tag(before + R"({"name": )" + Json(tool.name).dump() + R"(, ")" + arguments + R"(": )",
                               structural_tag::json_schema(structural_tag::parameters_of(tool)), "}" + after);
  };
}

auto bracketed(const std::string& trigger, const std::string& begin, const std::string& separator,
               const std::string& end) {
  return [=](const ToolConstraint& what) {
    return structural_tag::bracketed_calls(what, trigger, begin, separator, end, object({}, {}));
  };
}

Json hermes_constraint(const ToolConstraint& what) {
  return structural_tag::calls(what, "<tool_call>", "\n", object("<tool_call>\n", "\n</tool_call>"));
}

/// Bare JSON has no marker: nothing tells it from an answer, so kAuto leaves the text free. One call at most, as the
/// models are trained.
Json llama_constraint(const ToolConstraint& what) {
  if (what.choice == ToolChoice::kAuto) return structural_tag::any_text();
  std::vector<Json> tags;
  for (const ToolDefinition* tool : structural_tag::callable(what)) tags.push_back(object({}, {}, "parameters")(*tool));
  return structural_tag::separated(tags, "", false);
}

std::unique_ptr<CallBody> mistral_body(const std::string& seen) {
  const char byte = seen.back();
  if (is_blank(byte)) return nullptr;
  if (byte == '[' || byte == '{') return std::make_unique<JsonCallBody>(JsonCallLayout{});
  NamedCallLayout layout;
  layout.id_marker = "[CALL_ID]";
  layout.after_name = {"[ARGS]"};
  return std::make_unique<NamedCallBody>(std::move(layout));
}

std::unique_ptr<OutputStage> mistral_stage(const std::vector<ToolDefinition>& /*tools*/) {
  return std::make_unique<CallStage>(CallMarkers{{"[TOOL_CALLS]"}, {}, {}},
                                     [](int) { return std::make_unique<ChoosingCallBody>(mistral_body); });
}

/// Versions from 11 of the tokenizer on write the name before the arguments.
Json mistral_named_constraint(const ToolConstraint& what) {
  return structural_tag::calls(what, "[TOOL_CALLS]", "", [](const ToolDefinition& tool) {
    return structural_tag::tag("[TOOL_CALLS]" + tool.name + "[ARGS]",
                               structural_tag::json_schema(structural_tag::parameters_of(tool)), "");
  });
}

}  // namespace

std::vector<ToolCallRow> json_call_rows() {
  const std::vector<std::string> mistral_markers = {"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"};
  const CallMarkers granite{{"<|tool_call|>", "<tool_call>"}, {}, {"</tool_call>"}};
  const CallMarkers llama{{"<|python_tag|>"}, {}, {}, '{'};
  std::vector<ToolCallRow> rows;
  rows.push_back({"nemotron_json",
                  contains({"<TOOLCALL>"}),
                  {"<TOOLCALL>", "</TOOLCALL>"},
                  json_parser({{"<TOOLCALL>"}, {"</TOOLCALL>"}, {}}),
                  bracketed("<TOOLCALL>", "<TOOLCALL>[", ", ", "]</TOOLCALL>")});
  rows.push_back({"minimax",
                  contains({"<tool_calls>", "<beginning_of_sentence>"}),
                  {"<tool_calls>", "</tool_calls>"},
                  json_parser({{"<tool_calls>"}, {"</tool_calls>"}, {}}),
                  bracketed("<tool_calls>", "<tool_calls>\n", "\n", "\n</tool_calls>")});
  rows.push_back({"jamba",
                  contains({"<tool_calls>"}),
                  {"<tool_calls>", "</tool_calls>"},
                  json_parser({{"<tool_calls>"}, {"</tool_calls>"}, {}}),
                  bracketed("<tool_calls>", "<tool_calls>[\n    ", ",\n    ", "\n]</tool_calls>")});
  rows.push_back({"granite",
                  contains({"<|tool_call|>"}),
                  {"<|tool_call|>", "<tool_call>", "</tool_call>"},
                  json_parser(granite),
                  bracketed("<|tool_call|>", "<|tool_call|>[", ", ", "]")});
  rows.push_back({"mistral_named", contains({"[TOOL_CALLS]", "[ARGS]"}), mistral_markers, mistral_stage,
                  mistral_named_constraint});
  rows.push_back({"mistral", contains({"[TOOL_CALLS]"}), mistral_markers, mistral_stage,
                  bracketed("[TOOL_CALLS]", "[TOOL_CALLS][", ", ", "]")});
  rows.push_back({"llama3_json",
                  contains({"ipython", "\"parameters\": "}),
                  {"<|python_tag|>"},
                  [llama](const std::vector<ToolDefinition>& /*tools*/) { return json_stage(llama, true); },
                  llama_constraint});
  rows.push_back({"hermes",
                  contains({"<tool_call>"}),
                  {"<tool_call>", "</tool_call>"},
                  json_parser({{"<tool_call>"}, {"</tool_call>"}, {}}),
                  hermes_constraint});
  return rows;
}

}  // namespace krait::server
