#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// Answers one line, which is a JSON object with its keys in the order they were written.
using JsonLineHandler = std::function<Result<nlohmann::ordered_json>(const nlohmann::ordered_json&)>;

/// The answer to one line, without its end: compact JSON in ASCII (every other character is escaped). A line that is
/// not a JSON object of valid UTF-8, nested at most 64 deep, or that the handler refuses or throws on, is answered
/// {"error": "…"}.
std::string answer_json_line(std::string_view line, const JsonLineHandler& handler);

/// One line of answer for each line of `in`, in order and at once, until `in` ends or `out` fails. An empty line is a
/// wrong one, so that the answers stay in step; the end of the last line may be missing. False when `out` failed.
bool answer_json_lines(std::istream& in, std::ostream& out, const JsonLineHandler& handler);

}  // namespace krait::server
