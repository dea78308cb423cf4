#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/cache/context_image.h"
#include "tests/engine/fakes/scheduler_harness.h"

namespace krait::test {

/// One long random life of a scheduler on a simulated platform, with less memory than its requests want: conversations
/// that go on, sessions that are saved and restored, prompts that begin alike, several answers to one prompt,
/// priorities, salts, deadlines, aborts. Requests keep coming. After every step all memory is counted anew, and nobody
/// may be lost or wait for ever.
class LongLife {
 public:
  struct Report {
    std::int64_t steps = 0;
    std::int64_t requests = 0;
    std::int64_t finished = 0;  ///< whole answers, each compared with that of a run alone
    std::int64_t aborted = 0;
    std::int64_t failed = 0;  ///< by their deadline
    std::int64_t preemptions = 0;
    std::int64_t hit_tokens = 0;
    std::int64_t evictions = 0;
    std::int64_t sessions = 0;            ///< contexts copied back into the caches
    std::int64_t longest_life = 0;        ///< steps from a request's arrival to its end
    std::vector<std::string> violations;  ///< none is what a test wants; ends at the first few
  };

  explicit LongLife(std::uint64_t seed);
  /// Lives so many steps with new requests, and then until the last one has ended.
  Report run(std::int64_t steps);

 private:
  struct Asked {
    EngineRequest request;
    std::int64_t step = 0;  ///< of its arrival
  };

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool chance(int percent) { return pick(1, 100) <= percent; }
  [[nodiscard]] std::vector<std::int32_t> random_prompt();
  [[nodiscard]] EngineRequest random_request();
  void arrive();
  void add(EngineRequest request);
  void abort_somebody();
  void save_session();
  void restore_session();
  void step();
  void audit();
  void take_ended();
  void check_answer(const Asked& asked, const Outcome& outcome);
  void violation(const std::string& what);

  std::mt19937_64 random_;
  Harness harness_;
  std::map<std::uint64_t, Asked> live_;
  std::deque<std::vector<std::int32_t>> conversations_;  ///< what was said so far, to go on with
  std::deque<ContextImage> sessions_;
  Report report_;
};

}  // namespace krait::test
