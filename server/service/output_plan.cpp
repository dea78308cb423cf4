#include "server/service/output_plan.h"

#include <algorithm>
#include <utility>

#include "server/chat/output/tool_call_format.h"
#include "server/service/choice_grammar.h"

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

/// The format that a model without one is held to.
constexpr std::string_view kFallbackFormat = "hermes";

bool has_tools(const GenerationRequest& request) {
  return request.chat.has_value() && request.chat->tools.is_array() && !request.chat->tools.empty() &&
         request.tool_choice.mode != ToolChoiceMode::kNone;
}

bool must_call(const GenerationRequest& request) {
  return request.tool_choice.mode == ToolChoiceMode::kRequired || request.tool_choice.mode == ToolChoiceMode::kNamed;
}

std::vector<ToolDefinition> tool_definitions(const Json& tools) {
  std::vector<ToolDefinition> definitions;
  for (const Json& tool : tools) {
    const Json& function = tool.at("function");
    const auto text = [&](const char* name) {
      const auto found = function.find(name);
      return found != function.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto parameters = function.find("parameters");
    definitions.push_back({.name = text("name"),
                           .description = text("description"),
                           .parameters = parameters == function.end() ? Json(nullptr) : *parameters});
  }
  return definitions;
}

bool any_strict(const Json& tools) {
  return std::ranges::any_of(tools, [](const Json& tool) {
    const auto strict = tool.at("function").find("strict");
    return strict != tool.at("function").end() && *strict == true;
  });
}

/// Where the answer's first message begins: text that is to be continued is not the template's.
std::string_view without_continued_text(const ChatInput& chat, std::string_view prompt) {
  if (!chat.continue_final_message || chat.messages.empty()) return prompt;
  const auto content = chat.messages.back().find("content");
  if (content == chat.messages.back().end()) return prompt;
  const Json* last = content->is_array() && !content->empty() ? &content->back().at("text") : &*content;
  if (!last->is_string()) return prompt;
  const auto& text = last->get_ref<const std::string&>();
  return prompt.ends_with(text) ? prompt.substr(0, prompt.size() - text.size()) : prompt;
}

/// The format of a structural tag for what the client asked for.
Json tag_format(const OutputFormat& format) {
  switch (format.kind) {
    case OutputFormatKind::kJsonObject:
      return {{"type", "json_schema"}, {"json_schema", {{"type", "object"}}}};
    case OutputFormatKind::kJsonSchema:
      return {{"type", "json_schema"}, {"json_schema", format.value}};
    case OutputFormatKind::kRegex:
      return {{"type", "regex"}, {"pattern", format.value}};
    case OutputFormatKind::kGrammar:
      return {{"type", "grammar"}, {"grammar", format.value}};
    case OutputFormatKind::kStructuralTag:
      return format.value.at("format");
    case OutputFormatKind::kChoice:
      break;
  }
  Json elements = Json::array();
  for (const Json& choice : format.value) elements.push_back({{"type", "const_string"}, {"value", choice}});
  if (elements.size() == 1) return elements.front();
  return {{"type", "or"}, {"elements", std::move(elements)}};
}

Constraint structural_tag(std::string text) {
  return {.kind = ConstraintKind::kStructuralTag, .text = std::move(text)};
}

/// What stands alone is compiled as what it is.
Constraint plain_constraint(const OutputFormat& format) {
  switch (format.kind) {
    case OutputFormatKind::kJsonObject:
      return {.kind = ConstraintKind::kJsonObject};
    case OutputFormatKind::kJsonSchema:
      return {.kind = ConstraintKind::kJsonSchema, .text = format.value.dump()};
    case OutputFormatKind::kRegex:
      return {.kind = ConstraintKind::kRegex, .text = format.value.get<std::string>()};
    case OutputFormatKind::kGrammar:
      return {.kind = ConstraintKind::kEbnf, .text = format.value.get<std::string>()};
    case OutputFormatKind::kChoice:
      return {.kind = ConstraintKind::kEbnf, .text = choice_grammar(format.value)};
    case OutputFormatKind::kStructuralTag:
      break;
  }
  return structural_tag(format.value.dump());
}

Status choose_formats(const GenerationRequest& request, const OutputFormats& model_formats, OutputPlan& plan) {
  plan.formats.reasoning = model_formats.reasoning;
  if (!has_tools(request)) return ok_status();
  plan.tools = tool_definitions(request.chat->tools);
  plan.formats.tool_calls = model_formats.tool_calls;
  if (plan.formats.tool_calls != nullptr) return ok_status();
  if (!must_call(request)) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message =
                     "tools: the model's chat template has no format of tool calls that is known, so that "
                     "tool_choice \"auto\" cannot be served; demand a call with tool_choice, leave tools out, or "
                     "start the server with --tool-call-parser",
                 .field = "tools"};
  }
  Result<const ToolCallFormat*> fallback = find_tool_call_format(kFallbackFormat);
  if (!fallback.ok()) return std::move(fallback).error();
  plan.formats.tool_calls = *fallback;
  return ok_status();
}

/// The calls that an answer must have, or may have.
Result<std::string> calls_tag(const GenerationRequest& request, const OutputPlan& plan) {
  ToolChoice choice = ToolChoice::kAuto;
  if (request.tool_choice.mode == ToolChoiceMode::kRequired) choice = ToolChoice::kRequired;
  if (request.tool_choice.mode == ToolChoiceMode::kNamed) choice = ToolChoice::kNamed;
  return tool_constraint(plan.formats, plan.thinking,
                         {.tools = plan.tools,
                          .choice = choice,
                          .name = request.tool_choice.name,
                          .parallel = request.parallel_tool_calls});
}

/// Either calls, or an answer of the form that was asked for.
Result<std::string> calls_or_format_tag(const GenerationRequest& request, const OutputPlan& plan) {
  Result<Json> calls = plan.formats.tool_calls->constraint(
      {.tools = plan.tools, .choice = ToolChoice::kRequired, .name = {}, .parallel = request.parallel_tool_calls});
  if (!calls.ok()) return std::move(calls).error();
  Json either = {{"type", "or"}, {"elements", Json::array({std::move(*calls), tag_format(*request.output_format)})}};
  return constraint_after_reasoning(plan.formats, plan.thinking, either);
}

Status choose_constraint(const GenerationRequest& request, OutputPlan& plan) {
  const bool tools = plan.formats.tool_calls != nullptr;
  if (tools && (must_call(request) || request.output_format.has_value() || any_strict(request.chat->tools))) {
    const bool either = request.output_format.has_value();
    Result<std::string> tag = either ? calls_or_format_tag(request, plan) : calls_tag(request, plan);
    if (!tag.ok()) return std::move(tag).error();
    plan.constraint = structural_tag(std::move(*tag));
    plan.constraint_field = either ? request.output_format->field : "tools";
    return ok_status();
  }
  if (!request.output_format.has_value()) return ok_status();
  plan.constraint_field = request.output_format->field;
  if (plan.formats.reasoning == nullptr) {
    plan.constraint = plain_constraint(*request.output_format);
  } else {
    plan.constraint =
        structural_tag(constraint_after_reasoning(plan.formats, plan.thinking, tag_format(*request.output_format)));
  }
  return ok_status();
}

}  // namespace

Result<OutputPlan> plan_output(const GenerationRequest& request, const OutputFormats& model_formats,
                               std::string_view prompt) {
  OutputPlan plan;
  if (request.chat.has_value()) {
    if (Status status = choose_formats(request, model_formats, plan); !status.ok()) return status.error();
    if (plan.formats.reasoning != nullptr) {
      plan.thinking = plan.formats.reasoning->prompt_thinking(without_continued_text(*request.chat, prompt));
    }
  }
  if (Status status = choose_constraint(request, plan); !status.ok()) return status.error();
  return plan;
}

}  // namespace krait::server
