#pragma once

#include <string>

#include "server/chat/output/call_body.h"
#include "server/chat/output/marker_gate.h"
#include "server/chat/output/output_stage.h"

namespace krait::server {

/// The harmony format of gpt-oss: messages with a header each, `<|channel|>NAME to=RECIPIENT <|message|>TEXT<|end|>`.
/// The channel "analysis" is reasoning, messages to a recipient are calls, all others content. An answer that begins
/// with no header is content.
class HarmonyStage final : public OutputStage {
 public:
  /// False: reasoning, or calls, are content.
  HarmonyStage(bool reasoning, bool tool_calls);
  void push(std::string_view text, OutputSink& sink) override;
  void finish(OutputSink& sink) override;

 private:
  enum class State { kStart, kHeader, kText };
  enum class Kind { kContent, kReasoning, kCall };

  void feed(char byte);
  void begin_message();
  void add(const std::string& text);
  void emit();

  bool reasoning_on_;
  bool tool_calls_on_;
  State state_ = State::kStart;
  Kind kind_ = Kind::kContent;
  MarkerGate gate_;
  std::string header_;
  std::string content_;
  std::string reasoning_;
  CallWriter writer_;
  bool wrote_arguments_ = false;
  OutputSink* sink_ = nullptr;
};

}  // namespace krait::server
