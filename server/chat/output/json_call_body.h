#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/chat/output/call_body.h"
#include "server/chat/output/json_scan.h"

namespace krait::server {

/// How calls written as JSON objects are laid out.
struct JsonCallLayout {
  /// What ends the calls; empty: the object, or the list of objects, ends them.
  std::vector<std::string> end;
  /// The text may as well be an answer in JSON: only an object that begins with these keys, and has arguments, is a
  /// call.
  bool strict = false;
};

/// {"name": …, "arguments": …} objects: one, several after another, or a list of them. "parameters" may stand for
/// "arguments", "id" gives the call's id, and {"function": {…}} may stand around name and arguments. Arguments are
/// passed on as the model wrote them; those written as a JSON string are unescaped.
class JsonCallBody final : public CallBody {
 public:
  explicit JsonCallBody(JsonCallLayout layout) : layout_(std::move(layout)) {}
  Step feed(char byte, CallWriter& out) override;
  [[nodiscard]] bool begun() const override { return begun_; }

 private:
  enum class State { kBetween, kKeyOrEnd, kKey, kColon, kValue, kInValue, kAfterValue, kAfterObject, kSkip };
  enum class Field { kName, kArguments, kId, kFunction, kOther };

  Step between(char byte);
  Step begin_value(char byte, CallWriter& out);
  Step in_value(char byte, CallWriter& out);
  void end_value(CallWriter& out);
  void begin_call_if_known(CallWriter& out);
  void put_argument(std::string_view text, CallWriter& out);
  Step end_object(char byte, CallWriter& out);
  /// The body is no call, or its rest is dropped.
  Step fail(char byte);
  bool ends_here(char byte);

  JsonCallLayout layout_;
  State state_ = State::kBetween;
  bool begun_ = false;  ///< any call of the body
  bool in_list_ = false;
  bool had_object_ = false;
  bool in_function_ = false;
  // of the object at hand
  bool call_begun_ = false;
  bool name_known_ = false;
  bool has_arguments_ = false;
  bool wrote_arguments_ = false;
  std::string name_;
  std::string id_;
  std::string early_arguments_;  ///< before the name was known
  // of the value at hand
  Field field_ = Field::kOther;
  bool is_string_ = false;
  bool is_word_ = false;
  std::string text_;  ///< a key, a name, an id, or a word
  JsonValueScan scan_;
  JsonUnescape unescape_;
  std::string tail_;  ///< the last bytes, where an end marker is looked for
};

}  // namespace krait::server
