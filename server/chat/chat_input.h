#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace krait::server {

/// Adds a member that the object does not have yet. The ordered objects' own insertion looks through all keys first.
inline void append_member(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value) {
  object.get_ref<nlohmann::ordered_json::object_t&>().emplace_back(std::move(key), std::move(value));
}

/// A conversation for the model's chat template, in the words of transformers' apply_chat_template. Objects keep the
/// order of their keys.
struct ChatInput {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();  ///< objects with "role", "content", …
  nlohmann::ordered_json tools = nullptr;                             ///< an array, or null for none
  nlohmann::ordered_json documents = nullptr;                         ///< an array, or null for none
  bool add_generation_prompt = true;
  /// The text ends with the final message's content, for the model to go on with.
  bool continue_final_message = false;
  std::string continue_field = "content";  ///< or reasoning_content: the field of the message that is gone on with
  nlohmann::ordered_json kwargs = nlohmann::ordered_json::object();  ///< further variables: chat_template_kwargs
  std::string template_name{};  ///< of several templates; empty: "tool_use" with tools if there is one, else "default"
};

}  // namespace krait::server
