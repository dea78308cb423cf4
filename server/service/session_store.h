#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/session.h"

namespace krait::server {

/// A session under a name.
struct NamedSession {
  std::shared_ptr<const Session> session;
  SessionInfo info;
};

/// The sessions in memory. Several names may share one session, which then counts once. Thread-safe.
class SessionStore {
 public:
  explicit SessionStore(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Puts a session under a name, in place of what was there. Errors: kResourceExhausted with the sizes, and nothing
  /// has changed.
  Result<SessionInfo> put(const std::string& name, std::shared_ptr<const Session> session, std::int64_t created);
  /// kNotFound for a name that is not there; `field` is the one to blame.
  [[nodiscard]] Result<NamedSession> find(const std::string& name, const std::string& field) const;
  Status erase(const std::string& name);
  /// By name.
  [[nodiscard]] std::vector<SessionInfo> list() const;
  [[nodiscard]] std::size_t max_bytes() const { return max_bytes_; }

 private:
  [[nodiscard]] std::size_t names_of(const Session* session) const;

  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::map<std::string, NamedSession> sessions_;
  std::size_t bytes_ = 0;
};

}  // namespace krait::server
