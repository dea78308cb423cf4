#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "server/service/generation_event.h"

namespace krait::server {

/// `best_of`: of each prompt's candidates, the `n` with the highest mean log-probability a token become its choices,
/// the best first. A candidate's events wait here until the last candidate of its prompt has ended. Thread-safe.
class Candidates {
 public:
  /// `show` is called with the events of the chosen ones, numbered as choices: prompt * n + rank.
  Candidates(std::size_t prompts, int n, int best_of, std::function<void(GenerationEvent)> show);

  /// An event of candidate `index` (prompt * best_of + candidate): a PromptEcho, a Delta or the ChoiceFinished, which
  /// is its last.
  void add(int index, GenerationEvent event);
  /// The log-probability of a token that the candidate was given.
  void count_token(int index, double logprob);

 private:
  struct Candidate {
    std::vector<GenerationEvent> events;
    double logprobs = 0.0;
    std::int64_t tokens = 0;
    [[nodiscard]] double score() const;
  };
  void show_best(std::size_t prompt);

  int n_;
  int best_of_;
  std::function<void(GenerationEvent)> show_;
  std::mutex mutex_;
  std::vector<Candidate> candidates_;
  std::vector<int> unfinished_;  ///< candidates, by prompt
};

}  // namespace krait::server
