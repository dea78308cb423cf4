#pragma once

#include <array>
#include <optional>

namespace krait {

/// What steps cost on this machine, learned from those that were run: the seconds of a step that only decodes, by the
/// number of its decodes, and the seconds that one more token of a prompt adds. Both are averages that come to move
/// slowly: they follow growing contexts, and a step that something else on the machine made slow changes little, least
/// of all what a step that only decodes is thought to take.
class StepCost {
 public:
  void learn(int decodes, int prefill_tokens, double seconds);

  /// Of a step of `decodes` decodes and nothing else, by the nearest number that was seen; nullopt before there is one.
  [[nodiscard]] std::optional<double> decode_seconds(int decodes) const;
  /// That a token of a prompt adds to a step; nullopt before one was seen.
  [[nodiscard]] std::optional<double> prefill_token_seconds() const;

 private:
  /// Of what was seen at first, later a moving one.
  struct Average {
    double value = 0;
    int count = 0;  ///< 0: nothing was seen
    void add(double news, double least_weight);
  };

  std::array<Average, 32> decode_seconds_{};  ///< by the number of binary digits of the number of decodes
  Average beside_decodes_;                    ///< of a prompt's token in a step with decodes
  Average alone_;                             ///< in a step without
};

/// How a step is divided between running answers and new prompts.
struct PrefillShare {
  double target_seconds = 0;  ///< of a step with decodes (`--target-itl-ms`); 0: a multiple of a step without prompts
  int tile = 16;              ///< prompts are cut at multiples of it, where there is room for one
  int row_tile = 4;           ///< otherwise all rows of the step, decodes and prompts, are about a multiple of this
};

/// Tokens of prompts that a step beside `decodes` decodes should have, at most `limit`: as many as the target allows,
/// but never so few that prompts get less than their share of the time.
[[nodiscard]] int prefill_allowance(const StepCost& cost, const PrefillShare& share, int decodes, int limit);

}  // namespace krait
