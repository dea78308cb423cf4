#include "server/chat/output/choosing_call_body.h"
#include "server/chat/output/format_table.h"
#include "server/chat/output/gemma_call_body.h"
#include "server/chat/output/json_call_body.h"
#include "server/chat/output/python_call_body.h"
#include "server/chat/output/structural_tag.h"

namespace krait::server {
namespace {

using structural_tag::Json;

constexpr const char* kLfmBegin = "<|tool_call_start|>";
constexpr const char* kLfmEnd = "<|tool_call_end|>";

/// LFM2 writes JSON in the same brackets where its system prompt asks for that.
std::unique_ptr<CallBody> lfm_body(const std::string& seen) {
  const char byte = seen.back();
  if (is_blank(byte) || (byte == '[' && seen.find('[') == seen.size() - 1)) return nullptr;
  if (byte == '{') return std::make_unique<JsonCallBody>(JsonCallLayout{{kLfmEnd}});
  return std::make_unique<PythonCallBody>(kLfmEnd);
}

auto python_parser(const CallMarkers& markers) {
  return [markers](const std::vector<ToolDefinition>& /*tools*/) {
    const std::string end = markers.end.empty() ? std::string() : markers.end.front();
    return std::make_unique<CallStage>(markers, [end](int) { return std::make_unique<PythonCallBody>(end); });
  };
}

/// The schema of one parameter, with what its references need.
Json parameter_schema(const Json& parameters, const Json& schema) {
  if (!schema.is_object()) return schema;
  Json with_definitions = schema;
  for (const char* key : {"$defs", "definitions"}) {
    if (parameters.contains(key)) with_definitions[key] = parameters[key];
  }
  return with_definitions;
}

/// Keyword arguments: the required ones in their order, then any of the others in theirs. Values are written as JSON,
/// which PythonLiteral reads as well.
Json keyword_arguments(const Json& parameters) {
  std::vector<Json> required;
  std::vector<Json> rest;
  const auto properties = parameters.find("properties");
  if (properties == parameters.end() || !properties->is_object()) return structural_tag::const_string("");
  for (const auto& [name, schema] : properties->items()) {
    bool is_required = false;
    if (parameters.contains("required") && parameters["required"].is_array()) {
      for (const auto& one : parameters["required"]) is_required = is_required || one == name;
    }
    const Json value = structural_tag::json_schema(parameter_schema(parameters, schema));
    (is_required ? required : rest).push_back(structural_tag::tag(name + "=", value, ""));
  }
  std::vector<Json> elements;
  const auto add = [](std::vector<Json>& to, const Json& argument, bool first) {
    if (!first) to.push_back(structural_tag::const_string(", "));
    to.push_back(argument);
  };
  if (!required.empty()) {
    for (std::size_t i = 0; i < required.size(); ++i) add(elements, required[i], i == 0);
    for (const Json& argument : rest) {
      elements.push_back(
          structural_tag::optional(structural_tag::sequence({structural_tag::const_string(", "), argument})));
    }
    return structural_tag::sequence(elements);
  }
  // Nothing is required: whichever comes first stands without a comma.
  std::vector<Json> choices = {structural_tag::const_string("")};
  for (std::size_t first = 0; first < rest.size(); ++first) {
    std::vector<Json> sequence = {rest[first]};
    for (std::size_t i = first + 1; i < rest.size(); ++i) {
      sequence.push_back(
          structural_tag::optional(structural_tag::sequence({structural_tag::const_string(", "), rest[i]})));
    }
    choices.push_back(structural_tag::sequence(sequence));
  }
  return structural_tag::either(choices);
}

auto python_constraint(const std::string& begin, const std::string& separator, const std::string& end,
                       const std::string& trigger) {
  return [=](const ToolConstraint& what) {
    const structural_tag::CallTag call = [](const ToolDefinition& tool) {
      return structural_tag::tag(tool.name + "(", keyword_arguments(structural_tag::parameters_of(tool)), ")");
    };
    if (trigger.empty() && what.choice == ToolChoice::kAuto) return structural_tag::any_text();
    return structural_tag::bracketed_calls(what, trigger, begin, separator, end, call);
  };
}

}  // namespace

std::vector<ToolCallRow> python_call_rows() {
  std::vector<ToolCallRow> rows;
  rows.push_back({"lfm2",
                  [](std::string_view source) {
                    return contains({kLfmBegin})(source) || contains({"<|tool_list_start|>"})(source);
                  },
                  {kLfmBegin, kLfmEnd},
                  [](const std::vector<ToolDefinition>& /*tools*/) {
                    return std::make_unique<CallStage>(CallMarkers{{kLfmBegin}, {kLfmEnd}, {}}, [](int) {
                      return std::make_unique<ChoosingCallBody>(lfm_body);
                    });
                  },
                  python_constraint(std::string(kLfmBegin) + "[", ", ", std::string("]") + kLfmEnd, kLfmBegin)});
  rows.push_back({"olmo3",
                  contains({"<function_calls>"}),
                  {"<function_calls>", "</function_calls>"},
                  python_parser({{"<function_calls>"}, {"</function_calls>"}, {}}),
                  python_constraint("<function_calls>", "\n", "</function_calls>", "<function_calls>")});
  rows.push_back({"pythonic",
                  never,
                  {"<|python_start|>", "<|python_end|>"},
                  python_parser({{}, {}, {"<|python_start|>", "<|python_end|>"}, '['}),
                  python_constraint("[", ", ", "]", {})});
  rows.push_back({"gemma4",
                  contains({"<|tool_call>call:"}),
                  {"<|tool_call>", "<tool_call|>", "<|\"|>"},
                  [](const std::vector<ToolDefinition>& /*tools*/) {
                    return std::make_unique<CallStage>(CallMarkers{{"<|tool_call>"}, {"<tool_call|>"}, {}},
                                                       [](int) { return std::make_unique<GemmaCallBody>(); });
                  },
                  nullptr});
  return rows;
}

}  // namespace krait::server
