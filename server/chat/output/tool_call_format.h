#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "server/chat/output/output_stage.h"
#include "server/chat/output/tool_definition.h"

namespace krait::server {

/// How a family of models writes tool calls. Immutable and thread-safe; lives as long as the program.
class ToolCallFormat {
 public:
  virtual ~ToolCallFormat() = default;
  /// What `--tool-call-parser` says: vLLM's name where vLLM has the format.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Whether a chat template asks its model for this format.
  [[nodiscard]] virtual bool matches(std::string_view template_source) const = 0;
  /// Texts that this format needs to see and that are special tokens in some vocabularies. Decode with
  /// skip_special_tokens, except for special tokens with these texts; empty: none.
  [[nodiscard]] virtual std::vector<std::string> special_markers() const { return {}; }
  /// One stage reads reasoning and calls of this format, see HarmonyStage.
  [[nodiscard]] virtual bool is_harmony() const { return false; }
  /// A parser of one choice. `tools` is borrowed for the call only.
  [[nodiscard]] virtual std::unique_ptr<OutputStage> make_parser(const std::vector<ToolDefinition>& tools) const = 0;
  /// The `format` of an XGrammar structural tag whose texts are answers with valid calls: with kAuto any text in which
  /// calls, once begun, are valid; else nothing but calls. Begins where the model's answer does, after any reasoning.
  /// Fails with the field "tool_choice" where this cannot be forced.
  [[nodiscard]] virtual Result<nlohmann::ordered_json> constraint(const ToolConstraint& what) const = 0;
};

/// All formats; automatic choice takes the first that matches.
const std::vector<const ToolCallFormat*>& tool_call_formats();
/// Null for "none". An unknown name is an error that lists the known ones.
Result<const ToolCallFormat*> find_tool_call_format(std::string_view name);

}  // namespace krait::server
