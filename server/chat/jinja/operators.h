#pragma once

#include <string>

#include "server/chat/jinja/value.h"

namespace krait::server::jinja {

/// Python's operators. Integers have 64 bits; what does not fit is an error, never a wrong number.
using BinaryOperator = Value (*)(RenderContext& context, const Value& left, const Value& right);

/// For + - * / // % **; the parser asks for no other.
BinaryOperator find_operator(const std::string& symbol);

Value negate(const Value& operand);
Value plus(const Value& operand);

/// For == != < <= > >= in, and "not in".
bool compare(RenderContext& context, const std::string& symbol, const Value& left, const Value& right);

}  // namespace krait::server::jinja
