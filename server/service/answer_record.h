#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/service/generation_event.h"
#include "server/service/json_text.h"

namespace krait::server {

/// Keeps what a client got of one choice, for a session.
class AnswerRecord {
 public:
  void add(const Delta& delta);
  /// The ids that the client could see: those of a stop string are not among them, a stop token is.
  [[nodiscard]] const std::vector<std::int32_t>& ids() const { return ids_; }
  /// The assistant's message as chat templates take it: the arguments of calls are values where they are whole.
  [[nodiscard]] Json message() const;
  /// The same after `begun`, a message that the answer went on with.
  [[nodiscard]] Json message_after(Json begun) const;

 private:
  std::vector<std::int32_t> ids_;
  std::string content_;
  std::string reasoning_;
  std::vector<ToolCallDelta> calls_;  ///< whole ones
};

}  // namespace krait::server
