#include "server/cli/json_lines.h"

#include <istream>
#include <ostream>

#include "server/service/json_text.h"

namespace krait::server {
namespace {

Result<nlohmann::ordered_json> answer(std::string_view line, const JsonLineHandler& handler) {
  Result<nlohmann::ordered_json> request = parse_json_object(line, "the line");
  if (!request.ok()) return request;
  try {
    return handler(*request);
  } catch (const std::exception& error) {  // one line's fault must not end those that follow
    return Error{.code = ErrorCode::kInternal, .message = error.what(), .field = {}};
  }
}

}  // namespace

std::string answer_json_line(std::string_view line, const JsonLineHandler& handler) {
  Result<nlohmann::ordered_json> result = answer(line, handler);
  if (!result.ok()) result = nlohmann::ordered_json{{"error", result.error().message}};
  return result->dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

bool answer_json_lines(std::istream& in, std::ostream& out, const JsonLineHandler& handler) {
  std::string line;
  while (out && std::getline(in, line)) out << answer_json_line(line, handler) << '\n' << std::flush;
  return out.good();
}

}  // namespace krait::server
