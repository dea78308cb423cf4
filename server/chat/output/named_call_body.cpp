#include "server/chat/output/named_call_body.h"

#include <utility>

namespace krait::server {
namespace {

std::vector<std::string> not_empty(std::vector<std::string> markers) {
  std::erase_if(markers, [](const std::string& marker) { return marker.empty(); });
  return markers;
}

std::vector<std::string> header_markers(const NamedCallLayout& layout) {
  std::vector<std::string> markers = layout.after_name;
  markers.push_back(layout.id_marker);
  markers.push_back(layout.end);
  return not_empty(std::move(markers));
}

std::string trimmed(const std::string& text) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (begin < end && is_blank(text[begin])) ++begin;
  while (end > begin && is_blank(text[end - 1])) --end;
  return text.substr(begin, end - begin);
}

}  // namespace

NamedCallBody::NamedCallBody(NamedCallLayout layout)
    : layout_(std::move(layout)),
      state_(layout_.before_name.empty() ? State::kName : State::kBeforeName),
      before_name_(not_empty({layout_.before_name})),
      header_gate_(header_markers(layout_)),
      end_(not_empty({layout_.end})) {}

CallBody::Step NamedCallBody::feed(char byte, CallWriter& out) {
  switch (state_) {
    case State::kBeforeName: {
      std::string dropped;
      if (before_name_.feed(byte, dropped) >= 0) state_ = State::kName;
      return Step::kMore;
    }
    case State::kName:
    case State::kId:
      return feed_header(byte, out);
    case State::kBeforeArguments:
      if (is_blank(byte)) return Step::kMore;
      state_ = State::kArguments;
      return feed_arguments(byte, out);
    case State::kArguments:
      return feed_arguments(byte, out);
    case State::kAfterArguments:
      return after_arguments(byte);
  }
  return Step::kMore;
}

CallBody::Step NamedCallBody::feed_header(char byte, CallWriter& out) {
  std::string& part = state_ == State::kName ? name_ : id_;
  // A name has neither blanks inside nor brackets; id and name may have blanks around them.
  if (byte == '{' && header_gate_.idle()) {
    if (!begin(out)) return Step::kNoCall;
    state_ = State::kArguments;
    return feed_arguments(byte, out);
  }
  const int marker = header_gate_.feed(byte, part);
  if (part.size() > kMaxCallName) return Step::kNoCall;
  if (marker < 0) return Step::kMore;
  const auto index = static_cast<std::size_t>(marker);
  if (index < layout_.after_name.size()) {
    if (!begin(out)) return Step::kNoCall;
    state_ = State::kBeforeArguments;
    return Step::kMore;
  }
  if (index == layout_.after_name.size() && !layout_.id_marker.empty()) {
    if (state_ == State::kId) return Step::kNoCall;
    state_ = State::kId;
    return Step::kMore;
  }
  return Step::kNoCall;  // the end, without arguments
}

bool NamedCallBody::begin(CallWriter& out) {
  std::string name = trimmed(name_);
  std::string id = trimmed(id_);
  if (layout_.kimi_header) {
    id = name;
    if (name.starts_with("functions.")) name.erase(0, 10);
    const std::size_t colon = name.rfind(':');
    if (colon != std::string::npos) name.erase(colon);
  }
  for (const char c : name) {
    if (is_blank(c)) return false;
  }
  if (name.empty()) return false;
  out.begin(name, id);
  begun_ = true;
  return true;
}

CallBody::Step NamedCallBody::feed_arguments(char byte, CallWriter& out) {
  switch (scan_.feed(byte)) {
    case JsonValueScan::Step::kMore:
      out.put(byte);
      return Step::kMore;
    case JsonValueScan::Step::kDone:
      out.put(byte);
      state_ = State::kAfterArguments;
      return layout_.end.empty() ? Step::kDone : Step::kMore;
    case JsonValueScan::Step::kBefore:
    case JsonValueScan::Step::kBad:
      break;
  }
  if (layout_.end.empty()) return Step::kBefore;
  state_ = State::kAfterArguments;
  return after_arguments(byte);
}

CallBody::Step NamedCallBody::after_arguments(char byte) {
  std::string dropped;
  return end_.feed(byte, dropped) >= 0 ? Step::kDone : Step::kMore;
}

}  // namespace krait::server
