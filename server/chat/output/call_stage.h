#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/chat/output/call_body.h"
#include "server/chat/output/marker_gate.h"
#include "server/chat/output/output_stage.h"

namespace krait::server {

/// The markers around calls.
struct CallMarkers {
  std::vector<std::string> begin;  ///< begins a body
  /// Ends of bodies. A body takes its own; one right after a call is dropped, elsewhere it is text.
  std::vector<std::string> end;
  std::vector<std::string> dropped;  ///< brackets around all calls of a message: never text
  /// The answer itself may be a call from its first byte on, which must then be this one (0: no).
  char bare_begin = 0;
};

/// Content with calls in it: finds where bodies begin, and gives the text back where there was no call after all.
class CallStage final : public OutputStage {
 public:
  /// Makes a body; `marker` is the index into `begin`, or -1 for a bare one (whose first byte it gets too).
  using MakeBody = std::function<std::unique_ptr<CallBody>(int marker)>;

  CallStage(CallMarkers markers, MakeBody make_body);
  void push(std::string_view text, OutputSink& sink) override;
  void finish(OutputSink& sink) override;

 private:
  void feed(char byte);
  void feed_content(char byte);
  void begin_body(int marker, std::string opening);
  void add_content(std::string_view text);
  void give_back();
  void leave_body();

  CallMarkers markers_;
  MakeBody make_body_;
  MarkerGate gate_;
  CallWriter writer_;
  std::unique_ptr<CallBody> body_;
  std::string content_;  ///< to be emitted when the piece ends
  std::string blanks_;   ///< at the end of the content: dropped if a call follows
  std::string held_;     ///< the body so far, while it may be no call
  bool at_start_ = true;
  bool after_call_ = false;  ///< nothing but whitespace since a call
  OutputSink* sink_ = nullptr;
};

}  // namespace krait::server
