#include "engine/constraint/text_checks.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

Error invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message), .field = {}};
}

/// Depth of brackets, whichever they are. One that closes what was never opened counts for nothing.
class Depth {
 public:
  void read(char c) {
    if (c == '(' || c == '[' || c == '{') deepest_ = std::max(deepest_, ++depth_);
    if (c == ')' || c == ']' || c == '}') depth_ = std::max(depth_ - 1, 0);
  }
  [[nodiscard]] int deepest() const { return deepest_; }

 private:
  int depth_ = 0;
  int deepest_ = 0;
};

int deepest_nesting(std::string_view text, bool json) {
  Depth outside;
  Depth inside;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (json && text[i] == '"') {
      in_string = !in_string;
      inside = {};
    } else {
      Depth& depth = in_string ? inside : outside;
      depth.read(text[i]);
      deepest = std::max(deepest, depth.deepest());
    }
  }
  return deepest;
}

bool is_json(ConstraintKind kind) {
  return kind == ConstraintKind::kJsonSchema || kind == ConstraintKind::kStructuralTag;
}

}  // namespace

Status check_constraint_text(const Constraint& constraint, std::size_t text_bytes, int nesting) {
  const std::string_view text = constraint.text;
  if (constraint.kind == ConstraintKind::kJsonObject) {
    return text.empty() ? ok_status() : Status(invalid("any JSON object is asked for by a kind without text"));
  }
  if (text.empty()) return invalid("the constraint is empty");
  if (text.size() > text_bytes) {
    return invalid("the constraint has " + std::to_string(text.size()) + " bytes; at most " +
                   std::to_string(text_bytes) + " are allowed");
  }
  if (text.find('\0') != std::string_view::npos) return invalid("the constraint holds a NUL character");
  if (!is_valid_utf8(text)) return invalid("the constraint is not valid UTF-8");
  if (const int depth = deepest_nesting(text, is_json(constraint.kind)); depth > nesting) {
    return invalid("the constraint nests brackets " + std::to_string(depth) + " deep; at most " +
                   std::to_string(nesting) + " are allowed");
  }
  return ok_status();
}

}  // namespace krait
