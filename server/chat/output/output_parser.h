#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/output/message_delta.h"
#include "server/chat/output/output_formats.h"

namespace krait::server {

struct OutputParserOptions {
  OutputFormats formats;
  PromptThinking prompt = PromptThinking::kMayOpen;
  /// The request's tools: they say which arguments are strings. Borrowed by the constructor only.
  const std::vector<ToolDefinition>* tools = nullptr;
  /// False (no tools, or tool_choice "none"): what looks like a call is content.
  bool parse_tool_calls = true;
  /// False: reasoning is left in the content, with its markers.
  bool parse_reasoning = true;
  /// False: calls after the first are dropped.
  bool parallel_tool_calls = true;
  /// Before the random part of the ids of calls.
  std::string id_prefix = "chatcmpl-tool-";
};

/// The text of one choice into content, reasoning and tool calls, as far as each becomes certain. Holds back no more
/// than may be the beginning of a marker (and, of a call, what comes before its name); never emits part of a marker.
///
/// Whitespace around reasoning, and between content and a call, belongs to the format and is dropped. A call that is
/// not one (no name, not the format's syntax) is content, as it was written; a call that goes wrong or ends after its
/// name keeps the arguments so far. Not thread-safe.
class OutputParser {
 public:
  explicit OutputParser(const OutputParserOptions& options);
  ~OutputParser();
  OutputParser(OutputParser&&) noexcept;
  OutputParser& operator=(OutputParser&&) noexcept;

  /// The next text, valid UTF-8 cut between characters.
  MessageDelta push(std::string_view text);
  /// The end of the text, whatever ended it.
  MessageDelta finish();
  /// A call has been emitted: the choice's finish_reason is "tool_calls" where it would be "stop".
  [[nodiscard]] bool has_tool_calls() const;

 private:
  class Builder;
  std::unique_ptr<Builder> builder_;
};

}  // namespace krait::server
