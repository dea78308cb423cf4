#pragma once

#include <memory>
#include <string>

#include "server/chat/output/argument_types.h"
#include "server/chat/output/call_body.h"
#include "server/chat/output/marker_gate.h"

namespace krait::server {

/// The tags of calls whose parameters are elements.
struct XmlCallLayout {
  std::string function_open;    ///< before a function's name; empty: the name comes first
  std::string name_close;       ///< after it; empty: the first parameter, or the function's end
  std::string parameter_open;   ///< before a parameter's name
  std::string key_close;        ///< after it
  std::string value_open;       ///< between that and its value; empty: nothing
  std::string parameter_close;  ///< after the value
  std::string function_close;   ///< after the parameters
  std::string end;              ///< after all functions of a body; empty: function_close ends it
  bool newlines = false;        ///< values may stand on lines of their own: one newline before and after is not of them
};

/// Calls as elements. Writes JSON of them as they come: strings piece by piece, other values when they are complete.
class XmlCallBody final : public CallBody {
 public:
  /// `open`: the function's opening tag has been read already, and function_close ends the body.
  XmlCallBody(XmlCallLayout layout, std::shared_ptr<const ArgumentTypes> types, bool open);
  Step feed(char byte, CallWriter& out) override;
  [[nodiscard]] bool begun() const override { return begun_; }

 private:
  enum class State { kBeforeFunction, kName, kBetween, kKey, kBeforeValue, kValue, kAfterFunction };

  Step feed_before_function(char byte);
  Step feed_name(char byte, CallWriter& out);
  Step feed_between(char byte, CallWriter& out);
  Step feed_key(char byte, CallWriter& out);
  Step feed_value(char byte, CallWriter& out);
  Step feed_after_function(char byte);
  bool begin_function(CallWriter& out);
  void begin_value(CallWriter& out);
  void put_value(std::string_view text, CallWriter& out);
  Step end_function(CallWriter& out);
  /// What should be a function is none: the rest of the body is dropped, or is text.
  Step no_function();

  XmlCallLayout layout_;
  std::shared_ptr<const ArgumentTypes> types_;
  bool open_;
  State state_;
  MarkerGate function_gate_;  ///< end, function_open
  MarkerGate name_gate_;
  MarkerGate between_gate_;  ///< parameter_open, function_close, end
  MarkerGate key_gate_;
  MarkerGate value_open_gate_;
  MarkerGate value_gate_;
  bool begun_ = false;
  bool first_parameter_ = true;
  bool first_of_value_ = true;
  ArgumentKind kind_ = ArgumentKind::kAny;
  std::string name_;
  std::string key_;
  std::string value_;  ///< of other kinds than strings, until it is complete
};

}  // namespace krait::server
