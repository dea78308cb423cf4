#pragma once

#include <nlohmann/json.hpp>

#include "server/chat/chat_template.h"

namespace krait::server {

/// The form in which a template takes what clients may send in several.
struct TemplateForms {
  bool text_parts = false;       ///< content as a list of parts prints the parts' texts
  bool plain_text = true;        ///< content as a string prints it
  bool object_arguments = true;  ///< a tool call's arguments as an object; else as JSON text
};

/// Finds out by rendering small conversations with known texts and looking for those in what comes out, which also sees
/// through macros and loops.
TemplateForms detect_forms(const ChatTemplate& chat_template);

/// Turns messages of the OpenAI API into what the template takes:
/// - keys that are null are dropped, as transformers' apply_chat_template does;
/// - content that is a list of text parts is joined with newlines where the template takes strings only, and a string
///   becomes a list of one part where it takes lists only; a list with other parts than text stays;
/// - arguments of tool calls that are JSON text become a value, or the other way round. Text that is no JSON stays.
nlohmann::ordered_json adapt_messages(const nlohmann::ordered_json& messages, const TemplateForms& forms);

}  // namespace krait::server
