#include "kernels/result.h"

#include <cstdio>
#include <cstdlib>

namespace krait {

void bug(const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "%s:%d: internal error: %s\n", file, line, message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace krait
