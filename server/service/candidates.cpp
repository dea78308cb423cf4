#include "server/service/candidates.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <variant>

namespace krait::server {
namespace {

/// Gives the event the number of the choice that its candidate has become.
struct Renumber {
  int index;
  void operator()(PromptEcho& event) const { event.index = index; }
  void operator()(Delta& event) const { event.index = index; }
  void operator()(ChoiceFinished& event) const { event.index = index; }
  template <typename Other>
  void operator()(Other& /*event*/) const {}
};

}  // namespace

Candidates::Candidates(std::size_t prompts, int n, int best_of, std::function<void(GenerationEvent)> show)
    : n_(n),
      best_of_(best_of),
      show_(std::move(show)),
      candidates_(prompts * static_cast<std::size_t>(best_of)),
      unfinished_(prompts, best_of) {}

/// An answer without a token has nothing that speaks for it.
double Candidates::Candidate::score() const {
  return tokens == 0 ? -std::numeric_limits<double>::infinity() : logprobs / static_cast<double>(tokens);
}

void Candidates::count_token(int index, double logprob) {
  std::lock_guard lock(mutex_);
  Candidate& candidate = candidates_[static_cast<std::size_t>(index)];
  candidate.logprobs += logprob;
  ++candidate.tokens;
}

void Candidates::add(int index, GenerationEvent event) {
  std::lock_guard lock(mutex_);
  const bool last = std::holds_alternative<ChoiceFinished>(event);
  candidates_[static_cast<std::size_t>(index)].events.push_back(std::move(event));
  const auto prompt = static_cast<std::size_t>(index / best_of_);
  if (last && --unfinished_[prompt] == 0) show_best(prompt);
}

void Candidates::show_best(std::size_t prompt) {
  std::vector<std::size_t> order(static_cast<std::size_t>(best_of_));
  std::iota(order.begin(), order.end(), prompt * static_cast<std::size_t>(best_of_));
  // Stable: equal answers keep the order of their seeds, so that a request with a seed has one answer.
  std::ranges::stable_sort(
      order, [this](std::size_t a, std::size_t b) { return candidates_[a].score() > candidates_[b].score(); });
  for (int rank = 0; rank < n_; ++rank) {
    const int choice = static_cast<int>(prompt) * n_ + rank;
    for (GenerationEvent& event : candidates_[order[static_cast<std::size_t>(rank)]].events) {
      std::visit(Renumber{choice}, event);
      show_(std::move(event));
    }
  }
  for (const std::size_t candidate : order) candidates_[candidate].events = {};
}

}  // namespace krait::server
