#pragma once

#include <string>
#include <vector>

#include "server/chat/output/marker_gate.h"
#include "server/chat/output/output_stage.h"
#include "server/chat/output/reasoning_format.h"

namespace krait::server {

/// Marks around reasoning at the beginning of an answer.
struct ThinkMarkers {
  std::vector<std::string> open;           ///< any of them; the first is the one that prompts end with
  std::vector<std::string> close;          ///< any of them
  std::vector<std::string> dropped_after;  ///< tags of the answer that follows reasoning: never text
};

/// Splits an answer into the reasoning at its beginning, if there is one, and the rest.
class ThinkStage final : public OutputStage {
 public:
  ThinkStage(ThinkMarkers markers, bool inside);
  void push(std::string_view text, OutputSink& sink) override;
  void finish(OutputSink& sink) override;

 private:
  enum class State { kStart, kFirstInside, kInside, kAfter, kContent };

  void feed(char byte);
  void add_reasoning(const std::string& text);
  void add_content(const std::string& text);
  void emit(OutputSink& sink);

  State state_;
  MarkerGate open_;
  MarkerGate close_;
  MarkerGate after_;
  bool drops_after_;
  std::string reasoning_;
  std::string content_;
  std::string blanks_;  ///< before the answer, or inside the reasoning: dropped if reasoning begins or ends there
  bool any_reasoning_ = false;
};

}  // namespace krait::server
