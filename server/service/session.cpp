#include "server/service/session.h"

#include <algorithm>
#include <cctype>

namespace krait::server {

std::size_t Session::bytes() const {
  const std::size_t conversation = messages.is_null() ? 0 : dump_json(messages).size();
  return image.size() + tokens.size() * sizeof(std::int32_t) + conversation;
}

Status check_session_name(std::string_view name, const std::string& field) {
  constexpr std::size_t kMaxLength = 64;
  const bool valid = !name.empty() && name.size() <= kMaxLength && name.front() != '.' &&
                     std::ranges::all_of(name, [](unsigned char c) {
                       return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
                     });
  if (valid) return ok_status();
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = field +
                          " must be 1 to 64 letters, digits, dots, dashes and underscores, not beginning with a "
                          "dot; found " +
                          describe_value(std::string(name)),
               .field = field};
}

}  // namespace krait::server
