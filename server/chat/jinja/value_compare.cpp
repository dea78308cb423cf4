// Python's ==, < and in: numbers compare across their types, lists item by item, and most other mixtures cannot be
// ordered.
#include <algorithm>

#include "server/chat/jinja/error.h"
#include "server/chat/jinja/value.h"

namespace krait::server::jinja {
namespace {

bool equal_sequences(const Sequence& left, const Sequence& right) {
  if (&left == &right) return true;
  if (left.kind == SequenceKind::kGenerator || left.kind == SequenceKind::kValues) return false;  // by identity
  return left.kind == right.kind &&
         std::equal(left.items.begin(), left.items.end(), right.items.begin(), right.items.end(), equals);
}

bool equal_dicts(const Dict& left, const Dict& right) {
  if (left.items.size() != right.items.size()) return false;
  return std::all_of(left.items.begin(), left.items.end(), [&right](const auto& item) {
    const Value* other = right.find(item.first);
    return other != nullptr && equals(item.second, *other);
  });
}

bool equal_numbers(const Value& left, const Value& right) {
  if (left.is_float() || right.is_float()) return left.number() == right.number();
  return left.integer() == right.integer();
}

bool less_sequences(const Sequence& left, const Sequence& right) {
  const std::size_t common = std::min(left.items.size(), right.items.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (!equals(left.items[i], right.items[i])) return less(left.items[i], right.items[i]);
  }
  return left.items.size() < right.items.size();
}

double large_number(const Value& value) { return static_cast<double>(std::get<std::uint64_t>(value.data())); }

/// `<` where at least one is above the signed range.
bool less_large(const Value& left, const Value& right) {
  if (left.is_large_integer() && right.is_large_integer())
    return std::get<std::uint64_t>(left.data()) < std::get<std::uint64_t>(right.data());
  const Value& other = left.is_large_integer() ? right : left;
  if (!other.is_number()) {
    render_error("'<' not supported between instances of '" + std::string(type_name(left)) + "' and '" +
                 std::string(type_name(right)) + "'");
  }
  const double a = left.is_large_integer() ? large_number(left) : left.number();
  const double b = right.is_large_integer() ? large_number(right) : right.number();
  return a < b;
}

}  // namespace

bool equals(const Value& left, const Value& right) {
  if (left.is_large_integer() && right.is_float()) return large_number(left) == right.number();
  if (right.is_large_integer() && left.is_float()) return large_number(right) == left.number();
  if (left.is_number() && right.is_number()) return equal_numbers(left, right);
  if (left.data().index() != right.data().index()) return false;
  if (const std::string* text = left.string()) return *text == *right.string();
  if (const Sequence* sequence = left.sequence()) return equal_sequences(*sequence, *right.sequence());
  if (const Dict* dict = left.dict()) return equal_dicts(*dict, *right.dict());
  if (left.is_large_integer()) return std::get<std::uint64_t>(left.data()) == std::get<std::uint64_t>(right.data());
  if (left.is_undefined() || left.is_none()) return true;
  return left.object() == right.object() && left.callable() == right.callable();
}

bool less(const Value& left, const Value& right) {
  require_defined(left);
  require_defined(right);
  if (left.is_large_integer() || right.is_large_integer()) return less_large(left, right);
  if (left.is_number() && right.is_number()) {
    if (left.is_float() || right.is_float()) return left.number() < right.number();
    return left.integer() < right.integer();
  }
  if (left.string() != nullptr && right.string() != nullptr) return *left.string() < *right.string();
  const Sequence* a = left.sequence();
  const Sequence* b = right.sequence();
  const bool ordered = a != nullptr && b != nullptr && a->kind == b->kind &&
                       (a->kind == SequenceKind::kList || a->kind == SequenceKind::kTuple);
  if (ordered) return less_sequences(*a, *b);
  render_error("'<' not supported between instances of '" + std::string(type_name(left)) + "' and '" +
               std::string(type_name(right)) + "'");
}

bool contains(const Value& haystack, const Value& needle) {
  if (const std::string* text = haystack.string()) {
    if (needle.string() == nullptr) {
      require_defined(needle);
      render_error("'in <string>' requires string as left operand, not " + std::string(type_name(needle)));
    }
    return text->find(*needle.string()) != std::string::npos;
  }
  if (const Dict* dict = haystack.dict()) {
    require_hashable(needle);
    return dict->find(needle) != nullptr;
  }
  if (haystack.is_undefined()) return false;
  if (haystack.sequence() == nullptr) {
    render_error("argument of type '" + std::string(type_name(haystack)) + "' is not iterable");
  }
  const Sequence& sequence = *haystack.sequence();
  const auto begin = sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.taken);
  const auto found =
      std::find_if(begin, sequence.items.end(), [&needle](const Value& item) { return equals(item, needle); });
  if (sequence.kind == SequenceKind::kGenerator) {  // taken up to what was found
    const auto behind = found == sequence.items.end() ? found : found + 1;
    sequence.taken = static_cast<std::size_t>(behind - sequence.items.begin());
  }
  return found != sequence.items.end();
}

}  // namespace krait::server::jinja
