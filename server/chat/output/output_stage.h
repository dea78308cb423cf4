#pragma once

#include <string>
#include <string_view>

namespace krait::server {

/// Takes what a stage has recognised.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void content(std::string_view text) = 0;
  virtual void reasoning(std::string_view text) = 0;
  /// Begins a call; `id` is empty unless the model wrote one.
  virtual void begin_call(std::string_view name, std::string_view id) = 0;
  /// The next piece of the arguments of the call that began last.
  virtual void arguments(std::string_view json) = 0;
};

/// A state machine over generated text. The cuts between pieces change nothing in what the sink gets, all in all; time
/// is linear in the text, memory bounded. Not thread-safe.
class OutputStage {
 public:
  virtual ~OutputStage() = default;
  virtual void push(std::string_view text, OutputSink& sink) = 0;
  /// The end of the text: what was held back is decided. No push follows.
  virtual void finish(OutputSink& sink) = 0;
};

}  // namespace krait::server
