#include "server/chat/output/gemma_call_body.h"

#include <string_view>

namespace krait::server {

CallBody::Step GemmaCallBody::feed(char byte, CallWriter& out) {
  constexpr std::string_view kCall = "call:";
  if (state_ == State::kName) {
    if (byte != '{') {
      header_ += byte;
      const std::string_view head = header_;
      const bool fits = head.size() <= kCall.size() ? kCall.starts_with(head) : head.starts_with(kCall);
      const bool is_name = !is_blank(byte) && byte != '<' && header_.size() < kMaxCallName;
      return fits && is_name ? Step::kMore : Step::kNoCall;
    }
    if (header_.size() <= kCall.size()) return Step::kNoCall;
    out.begin(std::string_view(header_).substr(kCall.size()));
    begun_ = true;
    state_ = State::kArguments;
  }
  if (state_ == State::kArguments) {
    std::string json;
    const PythonLiteral::Step step = arguments_.feed(byte, json);
    out.put(json);
    if (step == PythonLiteral::Step::kMore) return Step::kMore;
    state_ = State::kAfter;
    if (step == PythonLiteral::Step::kDone) return Step::kMore;
  }
  std::string dropped;
  return end_.feed(byte, dropped) >= 0 ? Step::kDone : Step::kMore;
}

}  // namespace krait::server
