#include "server/chat/output/json_call_body.h"

#include <algorithm>

namespace krait::server {

CallBody::Step JsonCallBody::feed(char byte, CallWriter& out) {
  switch (state_) {
    case State::kBetween:
    case State::kAfterObject:
    case State::kSkip:
      return between(byte);
    case State::kKeyOrEnd:
      if (is_blank(byte) || byte == ',') return Step::kMore;
      if (byte == '}') return end_object(byte, out);
      if (byte != '"') return fail(byte);
      state_ = State::kKey;
      text_.clear();
      unescape_ = {};
      return Step::kMore;
    case State::kKey:
      if (unescape_.feed(byte, text_)) state_ = State::kColon;
      return text_.size() > kMaxCallName ? fail(byte) : Step::kMore;
    case State::kColon:
      if (is_blank(byte)) return Step::kMore;
      if (byte != ':') return fail(byte);
      state_ = State::kValue;
      return Step::kMore;
    case State::kValue:
      return is_blank(byte) ? Step::kMore : begin_value(byte, out);
    case State::kInValue:
      return in_value(byte, out);
    case State::kAfterValue:
      if (is_blank(byte)) return Step::kMore;
      if (byte == '}') return end_object(byte, out);
      if (byte != ',') return fail(byte);
      state_ = State::kKeyOrEnd;
      return Step::kMore;
  }
  return Step::kMore;
}

bool JsonCallBody::ends_here(char byte) {
  std::size_t longest = 0;
  for (const std::string& end : layout_.end) longest = std::max(longest, end.size());
  tail_ += byte;
  if (tail_.size() > longest) tail_.erase(0, tail_.size() - longest);
  return std::any_of(layout_.end.begin(), layout_.end.end(),
                     [&](const std::string& end) { return tail_.ends_with(end); });
}

CallBody::Step JsonCallBody::between(char byte) {
  const bool ended = ends_here(byte);
  if (ended) return begun_ ? Step::kDone : Step::kNoCall;
  if (state_ == State::kSkip) return Step::kMore;
  if (is_blank(byte)) return Step::kMore;
  if (byte == '{') {
    state_ = State::kKeyOrEnd;
    tail_.clear();
    call_begun_ = name_known_ = has_arguments_ = wrote_arguments_ = in_function_ = false;
    name_.clear();
    id_.clear();
    early_arguments_.clear();
    return Step::kMore;
  }
  if (!had_object_ && !in_list_ && byte == '[') {
    in_list_ = true;
    return Step::kMore;
  }
  if (in_list_ && had_object_ && byte == ']') {
    in_list_ = false;
    if (!begun_) return Step::kNoCall;
    if (layout_.end.empty()) return Step::kDone;
    state_ = State::kSkip;
    return Step::kMore;
  }
  if (had_object_ && (byte == ',' || byte == ';')) return Step::kMore;
  if (!begun_) return Step::kNoCall;
  if (layout_.end.empty() && !in_list_) return Step::kBefore;
  return Step::kMore;  // between a call and the end marker: dropped, with the marker's own beginning
}

CallBody::Step JsonCallBody::begin_value(char byte, CallWriter& out) {
  if (text_ == "name") {
    field_ = Field::kName;
  } else if (text_ == "arguments" || text_ == "parameters") {
    field_ = Field::kArguments;
  } else if (text_ == "id") {
    field_ = Field::kId;
  } else if (text_ == "function" && !in_function_) {
    field_ = Field::kFunction;
  } else {
    field_ = Field::kOther;
    if (layout_.strict && !call_begun_ && text_ != "type") return fail(byte);
  }
  if (field_ == Field::kFunction && byte == '{') {
    in_function_ = true;
    state_ = State::kKeyOrEnd;
    return Step::kMore;
  }
  if (field_ == Field::kFunction && byte == '"') field_ = Field::kName;  // {"function": "f", "arguments": …}
  is_string_ = byte == '"';
  is_word_ = !is_string_ && byte != '{' && byte != '[';
  if (field_ == Field::kName && !is_string_) return fail(byte);
  if (field_ == Field::kArguments) {
    if (has_arguments_) field_ = Field::kOther;  // a second value would not make JSON
    has_arguments_ = true;
  }
  text_.clear();
  scan_ = {};
  unescape_ = {};
  state_ = State::kInValue;
  if (!is_string_) return in_value(byte, out);
  scan_.feed(byte);
  return Step::kMore;
}

CallBody::Step JsonCallBody::in_value(char byte, CallWriter& out) {
  const JsonValueScan::Step step = scan_.feed(byte);
  if (step == JsonValueScan::Step::kBad) return fail(byte);
  if (step == JsonValueScan::Step::kBefore) {
    end_value(out);
    state_ = State::kAfterValue;
    return feed(byte, out);
  }
  if (is_string_) {
    std::string piece;
    unescape_.feed(byte, piece);
    if (field_ == Field::kArguments) {
      put_argument(piece, out);
    } else if (field_ == Field::kName || field_ == Field::kId) {
      text_ += piece;
      if (text_.size() > kMaxCallName) return fail(byte);
    }
  } else if (is_word_) {
    text_ += byte;
    if (text_.size() > kMaxCallName) return fail(byte);
  } else if (field_ == Field::kArguments) {
    put_argument(std::string_view(&byte, 1), out);
  }
  if (step == JsonValueScan::Step::kDone) {
    end_value(out);
    state_ = State::kAfterValue;
  }
  return Step::kMore;
}

void JsonCallBody::end_value(CallWriter& out) {
  if (field_ == Field::kName) {
    name_ = text_;
    name_known_ = !name_.empty();
  } else if (field_ == Field::kId) {
    id_ = is_string_ ? text_ : std::string();
  } else if (field_ == Field::kArguments && is_word_ && text_ != "null" && text_ != "None") {
    put_argument(text_, out);
  }
  begin_call_if_known(out);
}

void JsonCallBody::begin_call_if_known(CallWriter& out) {
  if (call_begun_ || !name_known_ || (layout_.strict && !has_arguments_)) return;
  out.begin(name_, id_);
  begun_ = call_begun_ = true;
  out.put(early_arguments_);
  early_arguments_.clear();
}

void JsonCallBody::put_argument(std::string_view text, CallWriter& out) {
  wrote_arguments_ = wrote_arguments_ || !text.empty();
  begin_call_if_known(out);
  if (call_begun_) {
    out.put(text);
  } else if (early_arguments_.size() < kMaxHeldCall) {
    early_arguments_ += text;
  }
}

CallBody::Step JsonCallBody::end_object(char byte, CallWriter& out) {
  if (in_function_) {
    in_function_ = false;
    state_ = State::kAfterValue;
    return Step::kMore;
  }
  had_object_ = true;
  if (!call_begun_) return fail(byte);
  if (!wrote_arguments_) out.put("{}");
  state_ = State::kAfterObject;
  return Step::kMore;
}

CallBody::Step JsonCallBody::fail(char byte) {
  if (!begun_) return Step::kNoCall;
  state_ = State::kSkip;
  tail_.clear();
  return between(byte);
}

}  // namespace krait::server
