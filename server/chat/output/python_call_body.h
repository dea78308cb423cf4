#pragma once

#include <string>

#include "server/chat/output/call_body.h"
#include "server/chat/output/marker_gate.h"
#include "server/chat/output/python_literal.h"

namespace krait::server {

/// Calls as Python writes them, `[f(a=1, b="x"), g()]` or one after another, with keyword arguments only. Arguments are
/// written as JSON as they come.
class PythonCallBody final : public CallBody {
 public:
  /// `end` ends the calls; empty: the list's closing bracket does.
  explicit PythonCallBody(const std::string& end);
  Step feed(char byte, CallWriter& out) override;
  [[nodiscard]] bool begun() const override { return begun_; }

 private:
  enum class State { kBetween, kName, kKeyOrEnd, kKey, kEquals, kValue, kSkip };

  Step feed_between(char byte);
  Step feed_name(char byte, CallWriter& out);
  Step feed_value(char byte, CallWriter& out);
  Step begin_value(CallWriter& out);
  Step fail(char byte);

  bool has_end_;
  MarkerGate end_;
  State state_ = State::kBetween;
  bool begun_ = false;
  bool in_list_ = false;
  bool list_ended_ = false;
  bool first_argument_ = true;
  std::string name_;
  std::string key_;
  PythonLiteral literal_;
};

}  // namespace krait::server
