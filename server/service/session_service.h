#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/recent_requests.h"
#include "server/service/served_model.h"
#include "server/service/session.h"
#include "server/service/session_directory.h"
#include "server/service/session_file.h"
#include "server/service/session_store.h"
#include "server/service/worker_pool.h"

namespace krait::server {

struct SessionOptions {
  std::size_t max_bytes = std::size_t{1} << 30;  ///< of all sessions together
  std::string directory{};                       ///< where they outlive the process; empty: nowhere
};

/// Sessions: saves finished requests, keeps them by name, and puts them back before a request goes on. Thread-safe.
/// What waits for the engine or reads many bytes runs on threads of its own, and `done` is called there.
class SessionService {
 public:
  using FindModel = std::function<Result<ServedModel>(const std::string&)>;
  using Saved = std::function<void(Result<SessionInfo>)>;

  /// Throws StartupError for a directory that cannot be used.
  SessionService(const SessionOptions& options, FindModel find_model);

  /// Takes what the directory has of a model that will be served; what is damaged, of another model or too much is
  /// named in the log and left out.
  void read_directory(const ServedModel& model);

  /// Saves a request that has ended, in place of what has the name. Errors: those of RecentRequests::find and
  /// SessionStore::put, a bad name, the engine's.
  void save(std::string name, std::string request_id, Saved done);
  /// Takes a file. Errors (kInvalidArgument) say what is wrong with it.
  void load(std::string name, std::string bytes, Saved done);
  void file(const std::string& name, std::function<void(Result<SessionFile>)> done);
  /// A second name for the same session.
  Result<SessionInfo> fork(const std::string& name, const std::string& new_name);
  Status erase(const std::string& name);
  [[nodiscard]] std::vector<SessionInfo> list() const { return store_.list(); }
  [[nodiscard]] Result<NamedSession> find(const std::string& name, const std::string& field) const {
    return store_.find(name, field);
  }
  /// Puts the session's image into its engine's caches, as far as there is room.
  void restore(std::shared_ptr<const Session> session, std::function<void()> done);

  [[nodiscard]] RecentRequests& recent() { return recent_; }
  [[nodiscard]] std::size_t max_bytes() const { return store_.max_bytes(); }

 private:
  Result<SessionInfo> save_now(const std::string& name, const std::string& request_id);
  /// Into memory, and onto the disk.
  Result<SessionInfo> keep(const std::string& name, std::shared_ptr<const Session> session, std::int64_t created);
  Result<SessionInfo> load_now(const std::string& name, const std::string& bytes);

  const FindModel find_model_;
  RecentRequests recent_;
  SessionStore store_;
  std::mutex directory_mutex_;  ///< held over both steps, so that memory and disk have the same
  std::unique_ptr<SessionDirectory> directory_;
  WorkerPool threads_;  // last: its jobs use all the others
};

}  // namespace krait::server
