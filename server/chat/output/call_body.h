#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/chat/output/output_stage.h"

namespace krait::server {

/// What a parser of calls writes to: gathers small pieces of arguments.
class CallWriter {
 public:
  void set_sink(OutputSink& sink) { sink_ = &sink; }
  void begin(std::string_view name, std::string_view id = {}) {
    flush();
    sink_->begin_call(name, id);
  }
  void put(char byte) { pending_ += byte; }
  void put(std::string_view text) { pending_ += text; }
  void flush() {
    if (!pending_.empty()) sink_->arguments(pending_);
    pending_.clear();
  }

 private:
  OutputSink* sink_ = nullptr;
  std::string pending_;
};

/// The text between a marker that begins calls and their end, a byte at a time.
class CallBody {
 public:
  enum class Step {
    kMore,    ///< taken
    kDone,    ///< taken, and the calls end with it
    kBefore,  ///< not taken: the calls ended before it
    kNoCall,  ///< not taken: all that came so far is no call, but text. Only while `begun` is false
  };
  virtual ~CallBody() = default;
  virtual Step feed(char byte, CallWriter& out) = 0;
  /// The text ends.
  virtual void finish(CallWriter& /*out*/) {}
  /// A call has been written: what follows is no longer taken back.
  [[nodiscard]] virtual bool begun() const = 0;
};

/// As far as text is held back to be text again if it turns out to be no call.
inline constexpr std::size_t kMaxHeldCall = std::size_t{64} << 10U;
/// The longest name of a function or parameter.
inline constexpr std::size_t kMaxCallName = 1024;

inline bool is_blank(char byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }

}  // namespace krait::server
