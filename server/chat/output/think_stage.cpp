#include "server/chat/output/think_stage.h"

#include <utility>

#include "server/chat/output/call_body.h"

namespace krait::server {
namespace {

/// Of whitespace before a closing marker, this much at most is held back.
constexpr std::size_t kMaxBlanks = 1024;

}  // namespace

ThinkStage::ThinkStage(ThinkMarkers markers, bool inside)
    : state_(inside ? State::kFirstInside : State::kStart),
      open_(markers.open),
      close_(std::move(markers.close)),
      after_(markers.dropped_after),
      drops_after_(!markers.dropped_after.empty()) {}

void ThinkStage::add_reasoning(const std::string& text) {
  for (const char byte : text) {
    if (!is_blank(byte)) {
      any_reasoning_ = true;
      reasoning_ += blanks_;
      blanks_.clear();
      reasoning_ += byte;
    } else if (any_reasoning_) {
      blanks_ += byte;
      if (blanks_.size() > kMaxBlanks) {
        reasoning_ += blanks_.front();
        blanks_.erase(blanks_.begin());
      }
    }
  }
}

void ThinkStage::add_content(const std::string& text) {
  for (const char byte : text) {
    if (state_ == State::kAfter && is_blank(byte)) continue;
    state_ = State::kContent;
    content_ += byte;
  }
}

void ThinkStage::feed(char byte) {
  std::string free;
  switch (state_) {
    case State::kStart:
      if (open_.idle() && is_blank(byte)) {
        blanks_ += byte;
        if (blanks_.size() <= kMaxBlanks) return;
        content_ += std::exchange(blanks_, {});
        state_ = State::kContent;
        drops_after_ = false;
        return;
      }
      if (open_.feed(byte, free) >= 0) {
        state_ = State::kFirstInside;
        blanks_.clear();
      } else if (!free.empty()) {
        // No marker begins here: the whole answer is content.
        content_ += std::exchange(blanks_, {}) + free;
        open_.finish(content_);
        state_ = State::kContent;
        drops_after_ = false;
      }
      return;
    case State::kFirstInside:
      // Models repeat the marker that the prompt has already written.
      if (open_.idle() && is_blank(byte)) return;
      if (open_.feed(byte, free) >= 0) {
        state_ = State::kInside;
      } else if (!free.empty()) {
        open_.finish(free);
        state_ = State::kInside;
        for (const char one : free) feed(one);
      }
      return;
    case State::kInside:
      if (close_.feed(byte, free) >= 0) {
        state_ = State::kAfter;
        add_reasoning(free);
        blanks_.clear();
        return;
      }
      add_reasoning(free);
      return;
    case State::kAfter:
    case State::kContent:
      if (drops_after_) {
        after_.feed(byte, free);
      } else {
        free = byte;
      }
      add_content(free);
      return;
  }
}

void ThinkStage::emit(OutputSink& sink) {
  if (!reasoning_.empty()) sink.reasoning(reasoning_);
  if (!content_.empty()) sink.content(content_);
  reasoning_.clear();
  content_.clear();
}

void ThinkStage::push(std::string_view text, OutputSink& sink) {
  for (const char byte : text) feed(byte);
  emit(sink);
}

void ThinkStage::finish(OutputSink& sink) {
  std::string free;
  switch (state_) {
    case State::kStart:
      content_ += std::exchange(blanks_, {});
      open_.finish(content_);
      break;
    case State::kFirstInside:
      open_.finish(free);
      add_reasoning(free);
      break;
    case State::kInside:
      close_.finish(free);
      add_reasoning(free);
      break;
    case State::kAfter:
    case State::kContent:
      after_.finish(free);
      add_content(free);
      break;
  }
  emit(sink);
}

}  // namespace krait::server
