#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace krait::bench {

/// What a run of bench/compare_llamacpp is asked for: one shape at one number of bits.
struct ComparisonKey {
  std::string shape;
  int bits = 16;
  bool avx2 = false;   ///< both programs without AVX-512
  bool serve = false;  ///< servers under clients
  bool operator<(const ComparisonKey& other) const;
};

/// The tests that bars read out of it.
struct ComparisonNeed {
  ComparisonKey key;
  std::vector<int> prompts{};
  std::vector<int> batches{};
};

/// Runs bench/compare_llamacpp as rarely as can be: all needs of a key in one run, which is kept.
class Comparisons {
 public:
  /// Before the first call of `rows`.
  void add(const ComparisonNeed& need);
  /// The rows of one test, one for each of llama.cpp's types. Throws std::runtime_error when the run failed or had
  /// none.
  std::vector<nlohmann::json> rows(const ComparisonKey& key, const std::string& test, int batch);

 private:
  const std::vector<nlohmann::json>& run(const ComparisonKey& key);

  std::vector<ComparisonNeed> needs_;
  std::vector<std::pair<ComparisonKey, std::vector<nlohmann::json>>> done_;
};

/// What a program prints; throws std::runtime_error with its exit status when that is not 0. Its standard error is
/// ours.
std::string output_of(const std::string& command);

}  // namespace krait::bench
