#include "server/chat/output/python_call_body.h"

#include <cctype>

#include "server/chat/output/json_scan.h"

namespace krait::server {
namespace {

bool begins_name(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return std::isalpha(value) != 0 || byte == '_' || value >= 0x80U;
}

bool is_name_byte(char byte) {
  return begins_name(byte) || std::isdigit(static_cast<unsigned char>(byte)) != 0 || byte == '.' || byte == '-';
}

}  // namespace

PythonCallBody::PythonCallBody(const std::string& end)
    : has_end_(!end.empty()), end_(end.empty() ? std::vector<std::string>{} : std::vector<std::string>{end}) {}

CallBody::Step PythonCallBody::feed(char byte, CallWriter& out) {
  switch (state_) {
    case State::kBetween:
    case State::kSkip:
      return feed_between(byte);
    case State::kName:
      return feed_name(byte, out);
    case State::kKeyOrEnd:
      if (is_blank(byte) || (byte == ',' && !first_argument_)) return Step::kMore;
      if (byte == ')') {
        out.put('}');
        state_ = State::kBetween;
        return !has_end_ && !in_list_ ? Step::kDone : Step::kMore;
      }
      if (!begins_name(byte)) return fail(byte);
      key_ = byte;
      state_ = State::kKey;
      return Step::kMore;
    case State::kKey:
      if (is_name_byte(byte) && key_.size() < kMaxCallName) {
        key_ += byte;
        return Step::kMore;
      }
      state_ = State::kEquals;
      [[fallthrough]];
    case State::kEquals:
      if (is_blank(byte)) return Step::kMore;
      return byte == '=' ? begin_value(out) : fail(byte);
    case State::kValue:
      return feed_value(byte, out);
  }
  return Step::kMore;
}

CallBody::Step PythonCallBody::feed_between(char byte) {
  std::string other;
  const bool maybe_end = has_end_ && (end_.feed(byte, other) >= 0);
  if (maybe_end) return begun_ ? Step::kDone : Step::kNoCall;
  if (state_ == State::kSkip || list_ended_) return Step::kMore;
  if (is_blank(byte)) return Step::kMore;
  if (byte == '[' && !in_list_ && !begun_) {
    in_list_ = true;
    return Step::kMore;
  }
  if (!begun_) {
    if (!begins_name(byte)) return Step::kNoCall;
  } else if (byte == ']' && in_list_) {
    list_ended_ = true;
    return has_end_ ? Step::kMore : Step::kDone;
  } else if (!begins_name(byte) || !end_.idle()) {
    return Step::kMore;  // separators, and the beginning of the end
  }
  name_ = byte;
  state_ = State::kName;
  return Step::kMore;
}

CallBody::Step PythonCallBody::feed_name(char byte, CallWriter& out) {
  if (is_name_byte(byte) && name_.size() < kMaxCallName) {
    name_ += byte;
    return Step::kMore;
  }
  if (byte != '(') return fail(byte);
  out.begin(name_);
  out.put('{');
  begun_ = true;
  first_argument_ = true;
  state_ = State::kKeyOrEnd;
  return Step::kMore;
}

CallBody::Step PythonCallBody::begin_value(CallWriter& out) {
  if (!first_argument_) out.put(", ");
  first_argument_ = false;
  out.put(json_quoted(key_));
  out.put(": ");
  literal_ = PythonLiteral();
  state_ = State::kValue;
  return Step::kMore;
}

CallBody::Step PythonCallBody::feed_value(char byte, CallWriter& out) {
  std::string json;
  const PythonLiteral::Step step = literal_.feed(byte, json);
  out.put(json);
  switch (step) {
    case PythonLiteral::Step::kMore:
      return Step::kMore;
    case PythonLiteral::Step::kDone:
      state_ = State::kKeyOrEnd;
      return Step::kMore;
    case PythonLiteral::Step::kBefore:
      state_ = State::kKeyOrEnd;
      return feed(byte, out);
    case PythonLiteral::Step::kBad:
      return fail(byte);
  }
  return Step::kMore;
}

CallBody::Step PythonCallBody::fail(char byte) {
  if (!begun_) return Step::kNoCall;
  state_ = State::kSkip;
  return feed_between(byte);
}

}  // namespace krait::server
