#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "bench/cache_bars/served_shape.h"

namespace krait::bench {

/// The requests of the bar `kill_cache_dir`: prompts that begin alike in groups, of which number `index` is the same in
/// every process.
constexpr int kVictimPrompts = 60;
EngineRequest victim_request(ServedShape& shape, int index);

/// What one process of this program does until somebody kills it: serves the checkpoint in `argv[2]` with the cache
/// directory `argv[3]`, asks the requests again and again in an order that `argv[4]` seeds, and writes a line for every
/// answer. Returns only when something has failed.
int run_victim(int argc, char** argv);
constexpr const char* kVictimCommand = "--victim";

/// One answer of a victim.
struct VictimLine {
  int index = 0;
  std::int64_t cached_tokens = 0;
  Tokens tokens;
};

/// A process that serves, for as long as this lives.
class Victim {
 public:
  /// `model` and `cache` are folders.
  Victim(const std::string& model, const std::string& cache, int seed);
  /// Kills it with SIGKILL and waits for its end.
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  /// The next answer, or nullopt when none has come by then, or when the process has ended (see `ended`).
  std::optional<VictimLine> next(Clock::time_point deadline);
  /// It has ended by itself, which it never should.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
  bool ended_ = false;
  std::string unread_;
};

}  // namespace krait::bench
