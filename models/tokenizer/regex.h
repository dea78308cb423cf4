#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "models/tokenizer/load_context.h"

struct re_pattern_buffer;

namespace krait {

/// A half-open range of bytes.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A regular expression in Oniguruma's Ruby syntax over UTF-8, which is what the reference compiles patterns with. A
/// well-known one is scanned by hand-written code instead (known_patterns.h). Immutable; searching is thread-safe.
class Regex {
 public:
  enum class Engine {
    kFastest,    ///< a scanner where there is one
    kOniguruma,  ///< for the tests that compare the two
  };
  /// Throws StartupError with Oniguruma's own message.
  Regex(const std::string& pattern, const LoadContext& context, Engine engine = Engine::kFastest);

  /// Appends all matches, left to right, without overlap. Fails when a match takes absurdly many steps.
  Status find_all(std::string_view text, std::vector<Span>& out) const;

 private:
  struct Free {
    void operator()(re_pattern_buffer* compiled) const;
  };
  std::unique_ptr<re_pattern_buffer, Free> compiled_;  ///< null where there is a scanner
  void (*scanner_)(std::string_view text, std::vector<Span>& out) = nullptr;
};

}  // namespace krait
