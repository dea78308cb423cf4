#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace krait {

/// What kind of failure, independent of any protocol. `server/service/error_mapping.h` has the one table that turns a
/// code into an HTTP status, an OpenAI error type and a gRPC status.
enum class ErrorCode {
  kInvalidArgument,    ///< the caller can mend the request
  kUnauthenticated,    ///< no key, or a wrong one
  kNotFound,           ///< no such model, path or session
  kMethodNotAllowed,   ///< the path exists, the method does not
  kPayloadTooLarge,    ///< the body is over the limit
  kUnsupported,        ///< understood, not served (by this build, model or platform)
  kResourceExhausted,  ///< a queue or a rate limit is full: try again later
  kUnavailable,        ///< loading, draining, or dead
  kDeadlineExceeded,
  kCancelled,
  kInternal,  ///< a fault of ours
};

/// An error that a person reads: `message` says what was wrong, what was found and what is valid; `field` names the
/// request field, flag, file or tensor (empty when there is none).
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string field;
};

/// A value, or the error that stood in its way; for callers that go on after a failure.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : data_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : data_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  [[nodiscard]] bool ok() const { return data_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// The value. Calling it on an error throws std::bad_variant_access: check `ok()` first.
  T& value() & { return std::get<0>(data_); }
  const T& value() const& { return std::get<0>(data_); }
  T&& value() && { return std::get<0>(std::move(data_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(data_); }
  Error&& error() && { return std::get<1>(std::move(data_)); }

 private:
  std::variant<T, Error> data_;
};

/// Success without a value.
using Status = Result<std::monostate>;
inline Status ok_status() { return std::monostate{}; }

/// Ends start-up: a bad flag, a corrupt checkpoint, an unknown architecture. Never thrown after the server is ready.
class StartupError : public std::runtime_error {
 public:
  explicit StartupError(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
  explicit StartupError(const std::string& message)
      : StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = {}}) {}
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

/// The value of a Result at start-up, where an error ends the program.
template <typename T>
T value_or_throw(Result<T> result) {
  if (!result.ok()) throw StartupError(std::move(result).error());
  return std::move(result).value();
}

/// Prints the message with its place and aborts. Only for what no input can reach.
[[noreturn]] void bug(const char* file, int line, const std::string& message);

}  // namespace krait

#define KRAIT_BUG(message) ::krait::bug(__FILE__, __LINE__, (message))
