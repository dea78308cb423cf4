#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/output/tool_definition.h"

namespace krait::server {

/// What a parameter may be, for formats that write strings without quotes.
enum class ArgumentKind {
  kString,  ///< nothing but a string: the text is the value
  kChoice,  ///< one of certain strings: white space around it is not of it
  kOther,   ///< never a string
  kAny,     ///< may be a string, or nothing is known of it: text that is JSON of another type is that, else a string
};

/// The parameters of each tool by name. Owns what it needs of the tools.
class ArgumentTypes {
 public:
  explicit ArgumentTypes(const std::vector<ToolDefinition>& tools);
  [[nodiscard]] ArgumentKind kind(std::string_view tool, std::string_view parameter) const;

 private:
  std::map<std::string, std::map<std::string, ArgumentKind, std::less<>>, std::less<>> tools_;
};

/// The JSON text of a value that the model wrote without quotes around strings. Python's True, False and None count as
/// JSON's.
std::string argument_json(std::string_view text, ArgumentKind kind);

}  // namespace krait::server
