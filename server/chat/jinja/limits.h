#pragma once

#include <cstddef>

namespace krait::server::jinja {

/// What one parse or one rendering may use. A template of a published model and a full context stay far below each of
/// them.
struct Limits {
  std::size_t max_source_bytes = 4U << 20;
  int max_nesting = 100;                 ///< of tags, and of brackets in an expression
  int max_chain = 2000;                  ///< operators in one tag: each makes the tree one deeper
  int max_depth = 1500;                  ///< of evaluation: nodes inside nodes, through macros
  int max_value_depth = 128;             ///< lists in lists
  std::size_t max_steps = 5'000'000;     ///< nodes evaluated
  std::size_t max_text = 64U << 20;      ///< bytes of the output, or of one string
  std::size_t max_allocated = 1U << 30;  ///< bytes of all values made on the way
  int max_seconds = 10;                  ///< looked at every few steps, for steps that are each slow
};

inline constexpr Limits kLimits{};

}  // namespace krait::server::jinja
