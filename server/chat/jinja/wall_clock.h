#pragma once

#include <string>

#include "server/chat/chat_template.h"

namespace krait::server::jinja {

/// datetime.strftime of a time without a zone: %f is the microsecond, %z, %:z and %Z are empty, the rest is the C
/// library's. Fails where one code's width makes its text unreasonably long.
std::string format_time(const std::string& format, const WallClock& clock);

}  // namespace krait::server::jinja
