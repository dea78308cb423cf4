#include "server/cli/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

namespace krait::server {
namespace {

/// SIGUSR2 is ours: it ends the thread.
sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGUSR2}) sigaddset(&set, number);
  return set;
}

[[noreturn]] void end_now(int signal) { _exit(128 + signal); }

}  // namespace

SignalWatcher::SignalWatcher() {
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  thread_ = std::thread([this] { run(); });
}

SignalWatcher::~SignalWatcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

void SignalWatcher::serving() {
  const std::lock_guard lock(mutex_);
  serving_ = true;
}

int SignalWatcher::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return signal_ != 0; });
  return signal_;
}

void SignalWatcher::run() {
  const sigset_t set = watched_signals();
  for (;;) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0) continue;
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (signal == SIGUSR2) continue;
    if (!serving_ || signal_ != 0) end_now(signal);
    signal_ = signal;
    changed_.notify_all();
  }
}

}  // namespace krait::server
