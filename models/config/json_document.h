#pragma once

// Internal to models/config and models/weights: no public header includes this one, so that nlohmann/json.hpp stays out
// of them.

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace krait {

struct JsonOptions {
  /// Accept the bare `Infinity`, `-Infinity` and `NaN` that Python's json module writes. They become the object that
  /// newer versions of transformers write, `{"__float__": "Infinity"}`; columns of later syntax errors on that line
  /// move by it.
  bool non_finite_numbers = false;
  /// Refuse an object that has a name twice. Without it the last one wins, as in Python.
  bool unique_names = false;
};

/// Parses JSON that nobody vouches for: nesting is bounded, and every fault is a StartupError "<file>: …" with line and
/// column.
nlohmann::json parse_json(std::string_view text, const std::string& file, const JsonOptions& options);

/// A value for an error message: its JSON, shortened; "nothing" for null.
std::string describe_json(const nlohmann::json& value);

/// `text` with its end cut off when it is long, never inside a UTF-8 character: names in a message may come from a
/// corrupt file.
std::string shorten(std::string_view text, std::size_t maximum_bytes = 120);

/// The whole file. A StartupError when it cannot be read or is larger than `maximum_bytes`.
std::string read_text_file(const std::string& path, std::size_t maximum_bytes);

}  // namespace krait
