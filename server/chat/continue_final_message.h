#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// `continue_final_message` of transformers: the last message's text gets a mark, and the rendered prompt is cut where
/// the mark is, so that the model goes on with that message.
class FinalMessageMark {
 public:
  /// Marks the `field` ("content" or a name of the reasoning) of the last of `messages`. Fails where it has no text, or
  /// the template's source does not mention the field.
  static Result<FinalMessageMark> put(nlohmann::ordered_json& messages, const std::string& field,
                                      std::string_view template_source);

  /// The prompt up to the end of the final message; fails if the template did not print the message whole.
  [[nodiscard]] Result<std::string> cut(std::string prompt) const;

 private:
  explicit FinalMessageMark(std::string text) : text_(std::move(text)) {}
  std::string text_;  ///< of the final message, without the mark
};

}  // namespace krait::server
