#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace krait::server {

/// The EBNF grammar of a choice: `root ::= "a" | "b"`. `choices` is a list of strings.
std::string choice_grammar(const nlohmann::ordered_json& choices);

}  // namespace krait::server
