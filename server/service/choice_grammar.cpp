#include "server/service/choice_grammar.h"

#include <cstdio>

namespace krait::server {
namespace {

/// A literal of the grammar's language. Control characters are spelt out: a line break would end the literal.
std::string literal(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(byte));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

std::string choice_grammar(const nlohmann::ordered_json& choices) {
  std::string grammar = "root ::= ";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    grammar += (i == 0 ? "" : " | ") + literal(choices[i].get_ref<const std::string&>());
  }
  return grammar;
}

}  // namespace krait::server
