#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/runner/step_plan.h"

namespace krait::test {

/// What a run saw; outlives the runner that an engine owns.
struct RunnerLog {
  std::vector<std::string> violations;  ///< broken promises of the scheduler; a test wants none
  std::int64_t steps = 0;
  std::int64_t mixed_steps = 0;
  std::int64_t ahead_steps = 0;  ///< planned before the outcome of the one before
  std::vector<int> piece_sizes;  ///< of prefills
};

/// Runs the history model with its memory in the pools' pages and slots, so that a wrong page, slot, position or order
/// changes the answer; and checks each plan against everything that the plans before it promised.
class FakeRunner final : public StepRunner {
 public:
  FakeRunner(CachePools& pools, RunnerLog& log, int max_tokens, int max_seqs)
      : pools_(pools), log_(log), max_tokens_(max_tokens), max_seqs_(max_seqs) {}

  bool ahead = false;                                        ///< takes a second step while one is in flight
  std::function<void(const StepPlan&)> before;               ///< may block or throw
  std::function<void(const StepPlan&, StepResult&)> tamper;  ///< may spoil the result

  /// The prompt of a request, of which a prefix hit shows the runner only the end.
  void learn(std::uint64_t key, const std::vector<std::int32_t>& prompt) { known_[key].history = prompt; }

  [[nodiscard]] bool runs_ahead() const override { return ahead; }
  /// Plans are checked here and computed in `wait`, as a device would that is slow.
  StepHandle submit(StepPlan plan) override;
  StepResult wait(StepHandle handle) override;
  void abandon() noexcept override { in_flight_.clear(); }

 private:
  void check_plan(const StepPlan& plan);
  void check_memory(const StepRequest& request);
  void check_pages(const StepRequest& request, std::size_t group);
  void claim(const StepRequest& request, std::size_t kind, const ItemPool& pool, std::int32_t item);
  void check_history(const StepRequest& request);
  void check_sample(const StepRequest& request, const std::vector<std::int32_t>& history);
  StepOutput compute(const StepRequest& request);
  void write_kv(const StepRequest& request, int position, std::int32_t token);
  void check_kv(const StepRequest& request, const std::vector<std::int32_t>& history);
  [[nodiscard]] std::uint64_t read_state(const StepRequest& request, const std::vector<std::int32_t>& history);
  void write_state(std::int32_t slot, std::uint64_t state);
  [[nodiscard]] int first_visible(std::size_t group, int position) const;
  std::uint64_t* kv_slot(const StepRequest& request, std::size_t group, int position);
  void violation(const StepRequest& request, const std::string& what);

  struct Known {
    std::vector<std::int32_t> history;  ///< the longest that was seen
    int computed = 0;
    int prompt = -1;  ///< length of the prompt, once a sample row has told it
  };

  CachePools& pools_;
  RunnerLog& log_;
  int max_tokens_;
  int max_seqs_;
  std::unordered_map<std::uint64_t, Known> known_;
  /// (group, page) and (groups, slot) that the step at hand reads or writes.
  std::set<std::pair<std::size_t, std::int32_t>> read_;
  std::set<std::pair<std::size_t, std::int32_t>> written_;
  /// A plan, and the block tables that its requests pointed at.
  struct Submitted {
    StepPlan plan;
    std::vector<std::vector<std::vector<std::int32_t>>> pages;
  };
  std::map<StepHandle, Submitted> in_flight_;
  std::vector<std::int32_t> last_tokens_;  ///< that the last step sampled, by request; -1: none
  StepHandle next_ = 1;
};

}  // namespace krait::test
