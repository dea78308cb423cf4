#pragma once

#include <cstddef>

namespace krait::server::jinja {

/// What one parse or one rendering may use; what belongs to a rendering alone is in RenderLimits (chat_template.h). A
/// template of a published model and a full context stay far below each of them.
struct Limits {
  std::size_t max_source_bytes = 4U << 20;
  int max_nesting = 100;      ///< of tags, and of brackets in an expression
  int max_chain = 2000;       ///< operators in one tag: each makes the tree one deeper
  int max_depth = 1500;       ///< of evaluation: nodes inside nodes, through macros
  int max_value_depth = 128;  ///< lists in lists
};

inline constexpr Limits kLimits{};

}  // namespace krait::server::jinja
