#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace krait::server {

/// Waits for SIGTERM and SIGINT on a thread of its own. Make it before any other thread: the signals are blocked in the
/// thread that makes it, and threads inherit that. Until `serving()` the first signal ends the process at once (nothing
/// runs that could be finished); after it the first one wakes `wait()`, and the second ends the process.
class SignalWatcher {
 public:
  SignalWatcher();
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

  void serving();
  /// Returns the first signal's number.
  int wait();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool serving_ = false;
  bool stopping_ = false;
  int signal_ = 0;
  std::thread thread_;
};

}  // namespace krait::server
