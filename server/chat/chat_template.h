#pragma once

#include <chrono>
#include <cstddef>
#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// What one rendering may use. A template of a published model and a full context stay far below each of them.
struct RenderLimits {
  std::size_t max_steps = 5'000'000;           ///< nodes evaluated
  std::size_t max_text = 64U << 20;            ///< bytes of the output, or of one string
  std::size_t max_allocated = 1U << 30;        ///< bytes of all values made on the way
  std::chrono::milliseconds max_time{10'000};  ///< looked at every few steps, for steps that are each slow
};

/// A date and a time of day without a time zone, as Python's datetime.now() gives it.
struct WallClock {
  std::tm time{};
  int microsecond = 0;
};
/// Reads YYYY-MM-DD, or that with a T or a blank and HH:MM[:SS[.ffffff]]; a zone behind it (Z, +HH:MM) does not change
/// what the clock shows. nullopt for anything else.
std::optional<WallClock> parse_wall_clock(std::string_view iso8601);

struct RenderOptions {
  std::optional<WallClock> now;  ///< what strftime_now prints; unset: the machine's local time
  RenderLimits limits;
};

/// A chat template of the Jinja language, parsed once and rendered for every request. Immutable and thread-safe.
/// Rendering is bounded in steps, output and depth, touches no file and runs no code of the host.
class ChatTemplate {
 public:
  /// Parses; a construct that the interpreter does not implement is an error that names it with its line, never a wrong
  /// rendering.
  static Result<std::unique_ptr<ChatTemplate>> parse(std::string_view source);
  virtual ~ChatTemplate() = default;

  /// `context` is a JSON object: messages, add_generation_prompt, bos_token, eos_token, tools, … and the caller's
  /// chat_template_kwargs. Errors: `raise_exception` in the template (its text is the message), an undefined operation,
  /// a bound. The keys of objects keep their order, so that what templates print of tools and arguments reads as the
  /// reference's does.
  [[nodiscard]] virtual Result<std::string> render(const nlohmann::ordered_json& context,
                                                   const RenderOptions& options) const = 0;
  [[nodiscard]] Result<std::string> render(const nlohmann::ordered_json& context) const;
};

}  // namespace krait::server
