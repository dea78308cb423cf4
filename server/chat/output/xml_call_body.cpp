#include "server/chat/output/xml_call_body.h"

#include <utility>

#include "server/chat/output/json_scan.h"

namespace krait::server {
namespace {

std::vector<std::string> not_empty(std::vector<std::string> markers) {
  std::erase_if(markers, [](const std::string& marker) { return marker.empty(); });
  return markers;
}

std::string trimmed(const std::string& text) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (begin < end && is_blank(text[begin])) ++begin;
  while (end > begin && is_blank(text[end - 1])) --end;
  return text.substr(begin, end - begin);
}

bool all_blank(const std::string& text) {
  for (const char c : text) {
    if (!is_blank(c)) return false;
  }
  return true;
}

}  // namespace

XmlCallBody::XmlCallBody(XmlCallLayout layout, std::shared_ptr<const ArgumentTypes> types, bool open)
    : layout_(std::move(layout)),
      types_(std::move(types)),
      open_(open),
      state_(open || layout_.function_open.empty() ? State::kName : State::kBeforeFunction),
      function_gate_(not_empty({layout_.end, layout_.function_open})),
      name_gate_(layout_.name_close.empty() ? std::vector<std::string>{layout_.parameter_open, layout_.function_close}
                                            : std::vector<std::string>{layout_.name_close}),
      between_gate_(not_empty({layout_.parameter_open, layout_.function_close, layout_.end})),
      key_gate_({layout_.key_close}),
      value_open_gate_(not_empty({layout_.value_open})),
      value_gate_(layout_.newlines ? std::vector<std::string>{layout_.parameter_close, "\n" + layout_.parameter_close}
                                   : std::vector<std::string>{layout_.parameter_close}) {}

CallBody::Step XmlCallBody::feed(char byte, CallWriter& out) {
  switch (state_) {
    case State::kBeforeFunction:
      return feed_before_function(byte);
    case State::kName:
      return feed_name(byte, out);
    case State::kBetween:
      return feed_between(byte, out);
    case State::kKey:
      return feed_key(byte, out);
    case State::kBeforeValue: {
      std::string dropped;
      if (value_open_gate_.feed(byte, dropped) >= 0) state_ = State::kValue;
      return Step::kMore;
    }
    case State::kValue:
      return feed_value(byte, out);
    case State::kAfterFunction:
      return feed_after_function(byte);
  }
  return Step::kMore;
}

CallBody::Step XmlCallBody::feed_before_function(char byte) {
  std::string other;
  const int marker = function_gate_.feed(byte, other);
  if (!all_blank(other)) return Step::kNoCall;
  if (marker < 0) return Step::kMore;
  const bool is_end = !layout_.end.empty() && marker == 0;
  if (is_end) return Step::kNoCall;
  state_ = State::kName;
  name_.clear();
  return Step::kMore;
}

CallBody::Step XmlCallBody::feed_name(char byte, CallWriter& out) {
  const int marker = name_gate_.feed(byte, name_);
  if (name_.size() > kMaxCallName) return no_function();
  if (marker < 0) return Step::kMore;
  if (!begin_function(out)) return no_function();
  if (!layout_.name_close.empty()) {
    state_ = State::kBetween;
  } else if (marker == 0) {
    state_ = State::kKey;
    key_.clear();
  } else {
    return end_function(out);
  }
  return Step::kMore;
}

bool XmlCallBody::begin_function(CallWriter& out) {
  name_ = trimmed(name_);
  if (name_.empty() || name_.find_first_of("<>\n\"") != std::string::npos) return false;
  out.begin(name_);
  out.put('{');
  begun_ = true;
  first_parameter_ = true;
  return true;
}

CallBody::Step XmlCallBody::feed_between(char byte, CallWriter& out) {
  std::string dropped;
  const int marker = between_gate_.feed(byte, dropped);
  if (marker < 0) return Step::kMore;
  if (marker == 0) {
    state_ = State::kKey;
    key_.clear();
    return Step::kMore;
  }
  const Step step = end_function(out);
  return marker == 2 ? Step::kDone : step;
}

CallBody::Step XmlCallBody::feed_key(char byte, CallWriter& out) {
  const int marker = key_gate_.feed(byte, key_);
  if (key_.size() > kMaxCallName) key_.resize(kMaxCallName);
  if (marker < 0) return Step::kMore;
  key_ = trimmed(key_);
  begin_value(out);
  state_ = layout_.value_open.empty() ? State::kValue : State::kBeforeValue;
  return Step::kMore;
}

void XmlCallBody::begin_value(CallWriter& out) {
  if (!first_parameter_) out.put(", ");
  first_parameter_ = false;
  out.put(json_quoted(key_));
  out.put(": ");
  kind_ = types_->kind(name_, key_);
  if (kind_ == ArgumentKind::kString) out.put('"');
  first_of_value_ = true;
  value_.clear();
}

void XmlCallBody::put_value(std::string_view text, CallWriter& out) {
  for (const char byte : text) {
    const bool leading_newline = first_of_value_ && layout_.newlines && byte == '\n';
    first_of_value_ = false;
    if (leading_newline) continue;
    if (kind_ != ArgumentKind::kString) {
      value_ += byte;
      continue;
    }
    std::string escaped;
    append_json_escaped(escaped, byte);
    out.put(escaped);
  }
}

CallBody::Step XmlCallBody::feed_value(char byte, CallWriter& out) {
  std::string text;
  const int marker = value_gate_.feed(byte, text);
  put_value(text, out);
  if (marker < 0) return Step::kMore;
  out.put(kind_ == ArgumentKind::kString ? std::string("\"") : argument_json(value_, kind_));
  value_.clear();
  state_ = State::kBetween;
  return Step::kMore;
}

CallBody::Step XmlCallBody::no_function() {
  if (!begun_) return Step::kNoCall;
  state_ = State::kAfterFunction;
  return Step::kMore;
}

CallBody::Step XmlCallBody::end_function(CallWriter& out) {
  out.put('}');
  state_ = State::kAfterFunction;
  return open_ || layout_.end.empty() ? Step::kDone : Step::kMore;
}

CallBody::Step XmlCallBody::feed_after_function(char byte) {
  std::string dropped;
  const int marker = function_gate_.feed(byte, dropped);
  if (marker < 0) return Step::kMore;
  if (marker == 0) return Step::kDone;
  state_ = State::kName;
  name_.clear();
  return Step::kMore;
}

}  // namespace krait::server
