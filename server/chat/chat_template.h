#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

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
  /// a bound.
  [[nodiscard]] virtual Result<std::string> render(const nlohmann::json& context) const = 0;
  /// The same with the keys of objects in the order that the client sent them: what templates print of tools and
  /// arguments then reads as the reference's does. Requests should be parsed into this type.
  [[nodiscard]] virtual Result<std::string> render(const nlohmann::ordered_json& context) const = 0;
};

}  // namespace krait::server
