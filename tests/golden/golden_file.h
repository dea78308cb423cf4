#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace krait::test {

/// One prompt of a fixture's golden.safetensors (tests/golden/models/README.md says what each field is).
struct GoldenPrompt {
  std::vector<std::int32_t> ids;
  std::vector<std::vector<float>> logits;  ///< of the positions from `first_position` on
  int first_position = 0;
  std::vector<std::int32_t> generated;
  std::vector<std::vector<float>> generated_logits;
  std::vector<float> margins;
};

struct Golden {
  float tolerance = 0;
  std::vector<GoldenPrompt> prompts;
};

/// The folders of tests/golden/models, relative to the repository, in alphabetical order. KRAIT_FIXTURES (names with
/// commas between them) leaves only some of them.
std::vector<std::string> fixture_folders();

/// `folder` is relative to the repository.
Golden read_golden(const std::string& folder);

}  // namespace krait::test
