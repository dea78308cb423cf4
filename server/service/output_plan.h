#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/constraint/constraint.h"
#include "kernels/result.h"
#include "server/chat/output/output_formats.h"
#include "server/service/generation_request.h"

namespace krait::server {

/// How the answers to one request are read, and what they must look like.
struct OutputPlan {
  OutputFormats formats{};  ///< those of the model that this request uses
  PromptThinking thinking = PromptThinking::kMayOpen;
  std::vector<ToolDefinition> tools{};
  std::optional<Constraint> constraint{};  ///< nullopt: anything may be sampled
  std::string constraint_field{};          ///< the field to blame when the constraint cannot be compiled

  /// Whether the text must be taken apart into content, reasoning and calls.
  [[nodiscard]] bool needs_parser() const { return formats.tool_calls != nullptr || formats.reasoning != nullptr; }
};

/// `prompt` is the rendered prompt of a chat. Rules:
/// - `output_format` constrains the answer; of a reasoning model, what follows the reasoning.
/// - tool_choice "required" or a name: the answer is calls, in the model's format. A model whose template has no format
///   of its own is held to that of Hermes: the client sees calls only.
/// - tool_choice "auto" needs a format: without one, a call could not be told from text (kUnsupported, field "tools").
/// - tool_choice "auto" and `output_format`: the answer is either calls, or of that form.
/// - tool_choice "auto" and a tool with `"strict": true`: calls, once begun, are valid.
Result<OutputPlan> plan_output(const GenerationRequest& request, const OutputFormats& model_formats,
                               std::string_view prompt);

}  // namespace krait::server
