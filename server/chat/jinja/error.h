#pragma once

#include <stdexcept>
#include <string>

#include "server/chat/jinja/position.h"

namespace krait::server::jinja {

enum class Failure {
  kSyntax,       ///< not a template
  kUnsupported,  ///< a template, but it uses what this interpreter does not implement
  kRaised,       ///< the template called raise_exception: the message is for the caller as it is
  kRender,       ///< an operation failed, as it would in Jinja
  kLimit,        ///< too many steps, too deep, or too much text
};

/// Thrown inside the interpreter only; ChatTemplate turns it into an Error.
class TemplateError : public std::runtime_error {
 public:
  TemplateError(Failure failure, const std::string& message, Position at = {})
      : std::runtime_error(message), failure_(failure), at_(at) {}
  [[nodiscard]] Failure failure() const { return failure_; }
  /// Line 0 when it is not known yet: the renderer knows where it is.
  [[nodiscard]] Position at() const { return at_; }

 private:
  Failure failure_;
  Position at_;
};

/// Fails like the exception of Python that Jinja would let through.
[[noreturn]] inline void render_error(const std::string& message) { throw TemplateError(Failure::kRender, message); }

}  // namespace krait::server::jinja
