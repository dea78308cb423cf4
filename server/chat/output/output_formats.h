#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "server/chat/output/reasoning_format.h"
#include "server/chat/output/tool_call_format.h"

namespace krait::server {

/// The formats of one model; null: its text has none, or they are switched off.
struct OutputFormats {
  const ToolCallFormat* tool_calls = nullptr;
  const ReasoningFormat* reasoning = nullptr;

  /// Special tokens with these texts must not be skipped when the answer is decoded for an OutputParser.
  [[nodiscard]] std::vector<std::string> special_markers() const;
};

/// The formats that a chat template asks its model for.
OutputFormats identify_formats(std::string_view template_source);

/// The same with overrides (`--tool-call-parser`, `--reasoning-parser`): empty or "auto" leaves the choice to the
/// template, "none" switches off, else a name. An unknown name is an error with that option as its field.
Result<OutputFormats> select_formats(std::string_view template_source, std::string_view tool_call_parser,
                                     std::string_view reasoning_parser);

/// The text of an XGrammar structural tag that forces (kRequired, kNamed) or guards (kAuto) the calls of an answer to
/// this prompt; reasoning before it stays free. Fails with the field "tool_choice" when `formats` has no tool calls, or
/// its format cannot be forced.
Result<std::string> tool_constraint(const OutputFormats& formats, PromptThinking prompt, const ToolConstraint& what);

/// Puts free reasoning before another constraint: `answer` is the `format` of a structural tag, such as
/// {"type": "json_schema", "json_schema": …}. The answer as it is when the model does not reason.
std::string constraint_after_reasoning(const OutputFormats& formats, PromptThinking prompt,
                                       const nlohmann::ordered_json& answer);

}  // namespace krait::server
