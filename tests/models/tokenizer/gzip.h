#pragma once

#include <string>

namespace krait::test {

/// Unpacks a gzip file; throws std::runtime_error when it is none.
std::string gunzip(const std::string& packed);

}  // namespace krait::test
