#pragma once

#include <string>
#include <string_view>

#include "kernels/result.h"

namespace krait::server {

/// The valid values of one numeric field. One table, from which come both the check and the words of the error, so that
/// a wrong type (found at an edge) and a wrong value (found in the service) say the same about what is valid.
struct ParameterRange {
  std::string_view name;
  bool integer;
  double minimum;
  double maximum;
  bool minimum_exclusive = false;
  [[nodiscard]] bool contains(double value) const;
};

/// nullptr for a name that is not in the table.
const ParameterRange* find_range(std::string_view name);
/// "a number between 0 and 2", "an integer of at least 1", …
std::string describe_range(const ParameterRange& range);
/// "temperature must be a number between 0 and 2, found 3". `found` is printed as it is.
Error range_error(const ParameterRange& range, std::string_view found, std::string_view field = {});
/// A number as people write it: no trailing zeros.
std::string format_number(double value);

}  // namespace krait::server
