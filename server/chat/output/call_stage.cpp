#include "server/chat/output/call_stage.h"

#include <utility>

namespace krait::server {
namespace {

/// Of whitespace before a call, this much at most is held back.
constexpr std::size_t kMaxBlanks = 1024;

std::vector<std::string> all_markers(const CallMarkers& markers) {
  std::vector<std::string> all = markers.begin;
  all.insert(all.end(), markers.end.begin(), markers.end.end());
  all.insert(all.end(), markers.dropped.begin(), markers.dropped.end());
  return all;
}

}  // namespace

CallStage::CallStage(CallMarkers markers, MakeBody make_body)
    : markers_(std::move(markers)), make_body_(std::move(make_body)), gate_(all_markers(markers_)) {}

void CallStage::push(std::string_view text, OutputSink& sink) {
  sink_ = &sink;
  writer_.set_sink(sink);
  for (const char byte : text) feed(byte);
  if (!content_.empty()) sink.content(content_);
  content_.clear();
  writer_.flush();
}

void CallStage::feed(char byte) {
  if (body_ == nullptr) {
    feed_content(byte);
    return;
  }
  const CallBody::Step step = body_->feed(byte, writer_);
  if (body_->begun()) {
    held_.clear();
    blanks_.clear();
  }
  switch (step) {
    case CallBody::Step::kMore:
      if (!body_->begun()) {
        held_ += byte;
        if (held_.size() > kMaxHeldCall) give_back();
      }
      return;
    case CallBody::Step::kDone:
      leave_body();
      return;
    case CallBody::Step::kBefore:
      leave_body();
      feed_content(byte);
      return;
    case CallBody::Step::kNoCall:
      give_back();
      feed_content(byte);
      return;
  }
}

void CallStage::feed_content(char byte) {
  if (at_start_ && !is_blank(byte)) {
    at_start_ = false;
    if (markers_.bare_begin != 0 && byte == markers_.bare_begin) {
      begin_body(-1, {});
      feed(byte);
      return;
    }
  }
  std::string free;
  const int marker = gate_.feed(byte, free);
  if (!free.empty()) add_content(free);
  if (marker < 0) return;
  const auto index = static_cast<std::size_t>(marker);
  if (index < markers_.begin.size()) {
    begin_body(marker, markers_.begin[index]);
  } else if (index < markers_.begin.size() + markers_.end.size() && !after_call_) {
    add_content(markers_.end[index - markers_.begin.size()]);
  }
}

void CallStage::begin_body(int marker, std::string opening) {
  // Emitted before anything of the call is, whatever the piece's borders.
  if (!content_.empty()) sink_->content(content_);
  content_.clear();
  held_ = std::move(opening);
  body_ = make_body_(marker);
}

void CallStage::add_content(std::string_view text) {
  for (const char byte : text) {
    if (is_blank(byte)) {
      if (after_call_) continue;
      blanks_ += byte;
      if (blanks_.size() > kMaxBlanks) {
        content_ += blanks_.front();
        blanks_.erase(blanks_.begin());
      }
      continue;
    }
    after_call_ = false;
    content_ += blanks_;
    blanks_.clear();
    content_ += byte;
  }
}

void CallStage::give_back() {
  body_.reset();
  const std::string text = std::exchange(held_, {});
  add_content(text);
}

void CallStage::leave_body() {
  const bool called = body_->begun();
  body_.reset();
  if (!called) add_content(std::exchange(held_, {}));
  held_.clear();
  if (called) after_call_ = true;
}

void CallStage::finish(OutputSink& sink) {
  sink_ = &sink;
  writer_.set_sink(sink);
  if (body_ != nullptr) {
    body_->finish(writer_);
    if (body_->begun()) {
      held_.clear();
      blanks_.clear();
    }
    leave_body();
  }
  std::string free;
  gate_.finish(free);
  add_content(free);
  content_ += blanks_;
  blanks_.clear();
  if (!content_.empty()) sink.content(content_);
  content_.clear();
  writer_.flush();
}

}  // namespace krait::server
