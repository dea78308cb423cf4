#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernels/result.h"
#include "server/service/json_text.h"

namespace krait::server {

/// What a session is made of.
struct FinishedRequest {
  std::string model;
  std::string cache_salt;  ///< as the request had it
  std::string isolation;   ///< of the session that it went on with
  std::vector<std::int32_t> tokens;
  Json messages = nullptr;
};

/// Requests that have ended lately, for those who want to save one. Bounded in number and bytes: the oldest go first.
/// Thread-safe.
class RecentRequests {
 public:
  explicit RecentRequests(std::size_t max_requests = 1024, std::size_t max_bytes = std::size_t{64} << 20)
      : max_requests_(max_requests), max_bytes_(max_bytes) {}

  /// Every request that has begun ends with `finish` or `fail`.
  void begin(const std::string& id);
  /// Ignored unless it runs: what comes first counts.
  void finish(const std::string& id, FinishedRequest request);
  /// It ended, and cannot be saved because of `reason`. Ignored unless it runs.
  void fail(const std::string& id, const std::string& reason);

  [[nodiscard]] bool is_running(const std::string& id) const;
  /// Errors, of the field request_id: kNotFound (unknown, or too long ago), kInvalidArgument (running or failed).
  [[nodiscard]] Result<std::shared_ptr<const FinishedRequest>> find(const std::string& id) const;

 private:
  struct Entry {
    std::string id;
    std::shared_ptr<const FinishedRequest> request;  ///< null: it failed
    std::string reason;
    std::size_t bytes = 0;
  };
  void end(Entry entry);

  const std::size_t max_requests_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::unordered_set<std::string> running_;
  std::list<Entry> entries_;  ///< the oldest first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
  std::size_t bytes_ = 0;
};

}  // namespace krait::server
