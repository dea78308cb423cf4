#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/serving_model.h"

namespace krait::test {

/// One case of demo/aesop/goldens/golden.json.
struct DemoCase {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> ids;
  std::vector<double> margins;
  double min_margin = 0;
};

std::vector<DemoCase> demo_cases();

/// Options that load the demo model with one thread in float32 and 64 MiB of caches, prefixes reused.
LoadOptions demo_options();

/// The same without any reuse: what answers are compared with.
LoadOptions cold_options();

/// The same as `demo_options` for a model of the repository.
LoadOptions folder_options(const std::string& folder);

/// A greedy request, or a seeded one with a temperature.
EngineRequest demo_request(const std::string& id, const std::vector<std::int32_t>& prompt, int max_tokens,
                           float temperature = 0.0F, std::uint64_t seed = 0);

struct Answer {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;  ///< of each token, before sampling's own scaling: compared bit for bit
  FinishReason finish = FinishReason::kError;
  std::string error;
  bool operator==(const Answer&) const = default;
};

/// Reads a stream to its end.
Answer read_all(TokenStream& stream);
/// Submits all at once and reads every answer.
std::vector<Answer> answer_together(Engine& engine, const std::vector<EngineRequest>& requests);
/// Submits and reads one after the other.
std::vector<Answer> answer_alone(Engine& engine, const std::vector<EngineRequest>& requests);

}  // namespace krait::test
