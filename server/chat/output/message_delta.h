#pragma once

#include <string>
#include <vector>

namespace krait::server {

/// A piece of one tool call. The first of a call has `id` and `name`, all others only `arguments`.
struct ToolCallDelta {
  int index = 0;          ///< which call of the message, from 0
  std::string id;         ///< unique over all answers; the model's own where its format has one
  std::string name;       ///< the function
  std::string arguments;  ///< a piece of JSON text: the pieces of a call, in order, are its arguments; may be empty
};

/// A piece of an assistant message, as chat clients stream it: every member is to be appended to what came before.
struct MessageDelta {
  std::string content;
  std::string reasoning;
  std::vector<ToolCallDelta> tool_calls;

  [[nodiscard]] bool empty() const { return content.empty() && reasoning.empty() && tool_calls.empty(); }
};

}  // namespace krait::server
