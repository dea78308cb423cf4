#pragma once

#include <stdexcept>
#include <string>

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
  TemplateError(Failure failure, const std::string& message, int line = 0)
      : std::runtime_error(message), failure_(failure), line_(line) {}
  [[nodiscard]] Failure failure() const { return failure_; }
  /// 0 when it is not known yet: the renderer knows which line it is at.
  [[nodiscard]] int line() const { return line_; }

 private:
  Failure failure_;
  int line_;
};

/// Fails like the exception of Python that Jinja would let through.
[[noreturn]] inline void render_error(const std::string& message) { throw TemplateError(Failure::kRender, message); }

}  // namespace krait::server::jinja
