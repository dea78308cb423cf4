#include "server/chat/output/format_table.h"
#include "server/chat/output/structural_tag.h"
#include "server/chat/output/xml_call_body.h"

namespace krait::server {
namespace {

using structural_tag::Json;

/// `open_marker`: the begin marker that is a function's opening tag already; -1: none.
auto xml_parser(CallMarkers markers, XmlCallLayout layout, int open_marker) {
  return [=](const std::vector<ToolDefinition>& tools) {
    const auto types = std::make_shared<const ArgumentTypes>(tools);
    return std::make_unique<CallStage>(
        markers, [=](int marker) { return std::make_unique<XmlCallBody>(layout, types, marker == open_marker); });
  };
}

structural_tag::CallTag element(const std::string& before, const std::string& between, const std::string& after,
                                const std::string& style) {
  return [=](const ToolDefinition& tool) {
    return structural_tag::tag(before + tool.name + between,
                               structural_tag::json_schema(structural_tag::parameters_of(tool), style), after);
  };
}

Json qwen_constraint(const ToolConstraint& what) {
  return structural_tag::calls(what, "<tool_call>", "\n",
                               element("<tool_call>\n<function=", ">\n", "\n</function>\n</tool_call>", "qwen_xml"));
}

Json glm_constraint(const ToolConstraint& what) {
  return structural_tag::calls(what, "<tool_call>", "", element("<tool_call>", "", "</tool_call>", "glm_xml"));
}

Json minimax_constraint(const ToolConstraint& what) {
  return structural_tag::bracketed_calls(what, "<minimax:tool_call>", "<minimax:tool_call>\n", "\n",
                                         "\n</minimax:tool_call>",
                                         element("<invoke name=\"", "\">\n", "\n</invoke>", "minimax_xml"));
}

const XmlCallLayout kQwen{"<function=",   ">",           "<parameter=",  ">", "",
                          "</parameter>", "</function>", "</tool_call>", true};
const XmlCallLayout kMiniMax{"<invoke name=\"", "\">",       "<parameter name=\"",   "\">", "",
                             "</parameter>",    "</invoke>", "</minimax:tool_call>", true};
const XmlCallLayout kGlm{"", "", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>", "", true};

}  // namespace

std::vector<ToolCallRow> xml_call_rows() {
  const std::vector<std::string> tool_call = {"<tool_call>", "</tool_call>"};
  std::vector<ToolCallRow> rows;
  rows.push_back({"minimax_m2",
                  contains({"<minimax:tool_call>"}),
                  {"<minimax:tool_call>", "</minimax:tool_call>"},
                  xml_parser({{"<minimax:tool_call>"}, {"</minimax:tool_call>"}, {}}, kMiniMax, -1),
                  minimax_constraint});
  for (const char* name : {"qwen3_coder", "qwen3_xml"}) {
    rows.push_back({name, contains({"<function="}), tool_call,
                    xml_parser({{"<tool_call>", "<function="}, {"</tool_call>"}, {}}, kQwen, 1), qwen_constraint});
  }
  for (const char* name : {"glm47", "glm45"}) {
    rows.push_back({name,
                    contains({"<arg_key>"}),
                    {"<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"},
                    xml_parser({{"<tool_call>"}, {"</tool_call>"}, {}}, kGlm, -1),
                    glm_constraint});
  }
  return rows;
}

}  // namespace krait::server
