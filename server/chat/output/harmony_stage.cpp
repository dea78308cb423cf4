#include "server/chat/output/harmony_stage.h"

#include <string_view>
#include <utility>

namespace krait::server {
namespace {

constexpr std::size_t kMaxHeader = 4096;
constexpr std::string_view kChannel = "<|channel|>";
constexpr std::string_view kFunctions = "functions.";

enum Marker { kStartMarker, kChannelMarker, kMessageMarker, kEndMarker, kCallMarker, kReturnMarker, kConstrainMarker };

std::string word_after(const std::string& text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string::npos) return {};
  std::size_t begin = at + key.size();
  while (begin < text.size() && is_blank(text[begin])) ++begin;
  std::size_t end = begin;
  while (end < text.size() && !is_blank(text[end]) && text[end] != '<') ++end;
  return text.substr(begin, end - begin);
}

}  // namespace

HarmonyStage::HarmonyStage(bool reasoning, bool tool_calls)
    : reasoning_on_(reasoning),
      tool_calls_on_(tool_calls),
      gate_({"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"}) {}

void HarmonyStage::feed(char byte) {
  if (state_ == State::kStart) {
    // The prompt ends with "<|start|>assistant": a header, or " to=…" of one, follows, unless it was continued.
    if (header_.empty() && is_blank(byte) && byte != ' ') return;
    header_ += byte;
    const std::string_view head = header_;
    const bool is_header =
        head == kChannel || head == " to=" || head == "to=" || head == "<|start|>" || head == "<|message|>";
    if (is_header) {
      state_ = State::kHeader;
      std::string text = std::exchange(header_, {});
      for (const char one : text) feed(one);
    } else if (!kChannel.starts_with(head) && !std::string_view(" to=").starts_with(head) &&
               !std::string_view("to=").starts_with(head) && !std::string_view("<|start|>").starts_with(head) &&
               !std::string_view("<|message|>").starts_with(head)) {
      state_ = State::kText;
      kind_ = Kind::kContent;
      const std::string text = std::exchange(header_, {});
      for (const char one : text) feed(one);
    }
    return;
  }
  std::string free;
  const int marker = gate_.feed(byte, free);
  if (state_ == State::kHeader) {
    header_ += free;
    if (marker == kMessageMarker) {
      begin_message();
    } else if (marker == kChannelMarker) {
      header_ += kChannel;
    } else if (marker == kStartMarker) {
      header_.clear();
    } else if (marker >= 0) {
      header_ += ' ';
    }
    if (header_.size() > kMaxHeader) header_.resize(kMaxHeader);
    return;
  }
  add(free);
  if (marker < 0 || marker == kConstrainMarker || marker == kMessageMarker) return;
  if (kind_ == Kind::kCall && !wrote_arguments_) writer_.put("{}");
  state_ = State::kHeader;
  header_ = marker == kChannelMarker ? std::string(kChannel) : std::string();
  kind_ = Kind::kContent;
}

void HarmonyStage::begin_message() {
  const std::string channel = word_after(header_, kChannel);
  std::string recipient = word_after(header_, "to=");
  header_.clear();
  state_ = State::kText;
  if (!recipient.empty() && tool_calls_on_) {
    if (recipient.starts_with(kFunctions)) recipient.erase(0, kFunctions.size());
    kind_ = Kind::kCall;
    wrote_arguments_ = false;
    writer_.begin(recipient);
  } else if (channel == "analysis" && reasoning_on_) {
    kind_ = Kind::kReasoning;
  } else {
    kind_ = Kind::kContent;
  }
}

void HarmonyStage::add(const std::string& text) {
  switch (kind_) {
    case Kind::kContent:
      content_ += text;
      return;
    case Kind::kReasoning:
      reasoning_ += text;
      return;
    case Kind::kCall:
      wrote_arguments_ = wrote_arguments_ || !text.empty();
      writer_.put(text);
      return;
  }
}

void HarmonyStage::emit() {
  if (!reasoning_.empty()) sink_->reasoning(reasoning_);
  if (!content_.empty()) sink_->content(content_);
  reasoning_.clear();
  content_.clear();
  writer_.flush();
}

void HarmonyStage::push(std::string_view text, OutputSink& sink) {
  sink_ = &sink;
  writer_.set_sink(sink);
  for (const char byte : text) feed(byte);
  emit();
}

void HarmonyStage::finish(OutputSink& sink) {
  sink_ = &sink;
  writer_.set_sink(sink);
  std::string free;
  gate_.finish(free);
  if (state_ == State::kStart) {
    content_ += header_;  // an answer that is shorter than any header
  } else if (state_ == State::kText) {
    add(free);
  }
  if (kind_ == Kind::kCall && !wrote_arguments_ && state_ == State::kText) writer_.put("{}");
  emit();
}

}  // namespace krait::server
