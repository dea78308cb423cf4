#pragma once

#include <string>
#include <vector>

#include "server/chat/output/call_body.h"
#include "server/chat/output/json_scan.h"
#include "server/chat/output/marker_gate.h"

namespace krait::server {

/// How calls with a name before JSON arguments are laid out: [… before_name] name [id_marker id] after_name {…} end.
struct NamedCallLayout {
  std::string before_name;              ///< what stands before it is dropped; empty: the name comes first
  std::string id_marker;                ///< between name and id; empty: there is none
  std::vector<std::string> after_name;  ///< one of them, or the brace of the arguments itself
  std::string end;                      ///< empty: the arguments end the call
  bool kimi_header = false;             ///< the name is written functions.NAME:INDEX, which is also the id
};

/// One call with its name outside of the JSON. Arguments are passed on as the model wrote them.
class NamedCallBody final : public CallBody {
 public:
  explicit NamedCallBody(NamedCallLayout layout);
  Step feed(char byte, CallWriter& out) override;
  [[nodiscard]] bool begun() const override { return begun_; }

 private:
  enum class State { kBeforeName, kName, kId, kBeforeArguments, kArguments, kAfterArguments };

  Step feed_header(char byte, CallWriter& out);
  bool begin(CallWriter& out);
  Step feed_arguments(char byte, CallWriter& out);
  Step after_arguments(char byte);

  NamedCallLayout layout_;
  State state_;
  MarkerGate before_name_;
  MarkerGate header_gate_;  ///< after_name, id_marker, end
  MarkerGate end_;
  std::string name_;
  std::string id_;
  bool begun_ = false;
  JsonValueScan scan_;
};

}  // namespace krait::server
