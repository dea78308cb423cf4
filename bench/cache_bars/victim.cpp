#include "bench/cache_bars/victim.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace krait::bench {

EngineRequest victim_request(ServedShape& shape, int index) {
  // Ten beginnings of 100 to 190 tokens; each is gone on with in six ways.
  const auto number = static_cast<std::uint64_t>(index);
  Tokens prompt = shape.random_tokens(100 + 10 * (number % 10), 600 + number % 10);
  const Tokens own = shape.random_tokens(5 + number % 40, 700 + number);
  prompt.insert(prompt.end(), own.begin(), own.end());
  return shape.request(std::move(prompt), 6);
}

namespace {

int serve_until_killed(const std::string& model, const std::string& cache, std::uint32_t seed) {
  ServedShape shape(model, [&](LoadOptions& options) {
    options.threads = 1;
    options.cache_dir = cache;
    // Little enough that entries leave memory, and the disk, all the time.
    options.cache_memory.bytes = std::size_t{1} << 20U;
    options.cache_dir_bytes = std::size_t{8} << 20U;
  });
  // The directory is looked through in the background; without a moment for it few starts would find anything.
  for (int i = 0; i < 50 && shape.engine().stats().disk_entries == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::mt19937 random(seed);
  std::vector<int> order(kVictimPrompts);
  for (int i = 0; i < kVictimPrompts; ++i) order[static_cast<std::size_t>(i)] = i;
  for (;;) {
    std::ranges::shuffle(order, random);
    for (const int index : order) {
      const Reply reply = shape.ask(victim_request(shape, index));
      std::string line = std::to_string(index) + " " + std::to_string(reply.stats.cached_tokens);
      for (const std::int32_t token : reply.tokens) line += " " + std::to_string(token);
      std::printf("%s\n", line.c_str());
      if (std::fflush(stdout) != 0) return 1;
    }
  }
}

}  // namespace

int run_victim(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    return serve_until_killed(argv[2], argv[3], static_cast<std::uint32_t>(std::atoi(argv[4])));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kill_cache_dir: %s\n", error.what());
    return 1;
  }
}

Victim::Victim(const std::string& model, const std::string& cache, int seed) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pipe_ = ends[0];
  std::string words[] = {"/proc/self/exe", kVictimCommand, model, cache, std::to_string(seed)};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int error = ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) throw std::runtime_error("the process to be killed did not start");
}

Victim::~Victim() {
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ::close(pipe_);
}

std::optional<VictimLine> Victim::next(Clock::time_point deadline) {
  std::size_t end = unread_.find('\n');
  while (end == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{.fd = pipe_, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return std::nullopt;
    char buffer[4096];
    const ssize_t count = ::read(pipe_, buffer, sizeof buffer);
    if (count <= 0) {
      ended_ = true;
      return std::nullopt;
    }
    unread_.append(buffer, static_cast<std::size_t>(count));
    end = unread_.find('\n');
  }
  std::istringstream words(unread_.substr(0, end));
  unread_.erase(0, end + 1);
  VictimLine line;
  words >> line.index >> line.cached_tokens;
  for (std::int32_t token = 0; words >> token;) line.tokens.push_back(token);
  return line;
}

}  // namespace krait::bench
