#pragma once

namespace krait::server::jinja {

/// A place in a template: line and column (in characters) from 1 on. Line 0: no place.
struct Position {
  int line = 0;
  int column = 0;
};

}  // namespace krait::server::jinja
