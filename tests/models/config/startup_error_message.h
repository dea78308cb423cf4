#pragma once

#include <string>

#include "kernels/result.h"

namespace krait::test {

/// The message of the StartupError that `call` throws; "no error" when it throws none.
template <typename Call>
std::string startup_error_message(Call call) {
  try {
    call();
  } catch (const StartupError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace krait::test
