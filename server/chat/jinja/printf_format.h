#pragma once

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// `template % arguments` of Python: a tuple's items, a dict by %(name)s, or one value.
Value format_printf(RenderContext& context, const Value& text, const Value& arguments);

}  // namespace krait::server::jinja
