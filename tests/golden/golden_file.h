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

/// `folder` is relative to the repository.
Golden read_golden(const std::string& folder);

}  // namespace krait::test
