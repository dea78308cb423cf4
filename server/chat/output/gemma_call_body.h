#pragma once

#include <string>

#include "server/chat/output/call_body.h"
#include "server/chat/output/marker_gate.h"
#include "server/chat/output/python_literal.h"

namespace krait::server {

/// One call of Gemma 4: call:NAME{key:<|"|>text<|"|>,other:[1,true]}, its keys without quotes.
class GemmaCallBody final : public CallBody {
 public:
  GemmaCallBody() : end_({"<tool_call|>"}), arguments_("<|\"|>") {}
  Step feed(char byte, CallWriter& out) override;
  [[nodiscard]] bool begun() const override { return begun_; }

 private:
  enum class State { kName, kArguments, kAfter };

  State state_ = State::kName;
  bool begun_ = false;
  std::string header_;
  MarkerGate end_;
  PythonLiteral arguments_;
};

}  // namespace krait::server
