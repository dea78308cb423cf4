#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "server/chat/output/output_stage.h"

namespace krait::server {

/// What the end of a rendered prompt says about the reasoning of the answer.
enum class PromptThinking {
  kMayOpen,  ///< nothing: the model opens its reasoning itself, or answers at once
  kOpen,     ///< the prompt has opened it: the answer begins inside
  kClosed,   ///< the prompt has opened and closed it: the answer has none
};

/// How a family of models marks its reasoning. Immutable and thread-safe; lives as long as the program.
class ReasoningFormat {
 public:
  virtual ~ReasoningFormat() = default;
  /// What `--reasoning-parser` says: vLLM's name where vLLM has the format.
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual bool matches(std::string_view template_source) const = 0;
  /// As ToolCallFormat::special_markers.
  [[nodiscard]] virtual std::vector<std::string> special_markers() const { return {}; }
  /// Looks at the end of a rendered prompt (of text that is to be continued: of what stands before that).
  [[nodiscard]] virtual PromptThinking prompt_thinking(std::string_view prompt) const = 0;
  /// One stage reads reasoning and calls of this format, see HarmonyStage.
  [[nodiscard]] virtual bool is_harmony() const { return false; }
  /// A parser of one choice, whose `content` is the answer without its reasoning, tool calls still in it.
  [[nodiscard]] virtual std::unique_ptr<OutputStage> make_parser(PromptThinking prompt) const = 0;
  /// Puts reasoning before a structural tag's format for the answer: the whole is constrained only after the reasoning.
  [[nodiscard]] virtual nlohmann::ordered_json constraint(PromptThinking prompt,
                                                          nlohmann::ordered_json answer) const = 0;
};

/// All formats; automatic choice takes the first that matches.
const std::vector<const ReasoningFormat*>& reasoning_formats();
/// Null for "none". An unknown name is an error that lists the known ones.
Result<const ReasoningFormat*> find_reasoning_format(std::string_view name);

}  // namespace krait::server
