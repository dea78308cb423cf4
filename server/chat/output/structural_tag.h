#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/chat/output/tool_definition.h"

namespace krait::server {

/// Builders of XGrammar's structural tags, format of 0.2: https://xgrammar.mlc.ai/docs/ ("Structural Tag Usage").
namespace structural_tag {

using Json = nlohmann::ordered_json;

Json const_string(const std::string& text);
/// Text that is JSON of the schema; `style` "json", or one of XGrammar's layouts of parameters as elements.
Json json_schema(const Json& schema, const std::string& style = "json");
Json any_text();
Json tag(const std::string& begin, const Json& content, const std::string& end);
Json sequence(const std::vector<Json>& elements);
Json either(const std::vector<Json>& elements);
Json optional(const Json& content);
/// One tag at least; several only if `parallel`.
Json separated(const std::vector<Json>& tags, const std::string& separator, bool parallel);
/// Any text with tags in it; the text ends after the first of them unless `parallel`.
Json triggered(const std::string& trigger, const std::vector<Json>& tags, bool parallel);

/// The schema of a tool's arguments: an object of anything when it states none.
Json parameters_of(const ToolDefinition& tool);
/// The tools that may be called: all, or the named one.
std::vector<const ToolDefinition*> callable(const ToolConstraint& what);
/// Several calls are allowed.
bool several(const ToolConstraint& what);

using CallTag = std::function<Json(const ToolDefinition& tool)>;
/// Calls that stand for themselves, each a tag that begins with `trigger`.
Json calls(const ToolConstraint& what, const std::string& trigger, const std::string& separator, const CallTag& call);
/// Calls between brackets around all of them; `begin` begins with `trigger`.
Json bracketed_calls(const ToolConstraint& what, const std::string& trigger, const std::string& begin,
                     const std::string& separator, const std::string& end, const CallTag& call);

}  // namespace structural_tag
}  // namespace krait::server
