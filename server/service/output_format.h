#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace krait::server {

/// What an answer may look like, as a client states it.
enum class OutputFormatKind : std::uint8_t {
  kJsonObject,     ///< any JSON object; no value
  kJsonSchema,     ///< value: a JSON schema
  kRegex,          ///< value: a regular expression for the whole answer, a string
  kGrammar,        ///< value: an EBNF grammar whose start is `root`, a string
  kChoice,         ///< value: a list of strings, of which the answer is one
  kStructuralTag,  ///< value: xgrammar's structural tag, {"type": "structural_tag", "format": …}
};

struct OutputFormat {
  OutputFormatKind kind = OutputFormatKind::kJsonObject;
  nlohmann::ordered_json value{};
  std::string field{};  ///< where the client wrote it, for messages: "response_format.json_schema.schema"
};

}  // namespace krait::server
