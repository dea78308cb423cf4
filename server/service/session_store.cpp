#include "server/service/session_store.h"

#include <algorithm>
#include <utility>

namespace krait::server {
namespace {

Error unknown(const std::string& name, const std::string& field) {
  return Error{
      .code = ErrorCode::kNotFound,
      .message = "there is no session " + describe_value(name) + "; GET /v1/sessions lists those that there are",
      .field = field};
}

}  // namespace

std::size_t SessionStore::names_of(const Session* session) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(sessions_, [&](const auto& entry) { return entry.second.session.get() == session; }));
}

Result<SessionInfo> SessionStore::put(const std::string& name, std::shared_ptr<const Session> session,
                                      std::int64_t created) {
  SessionInfo info{.name = name,
                   .model = session->model,
                   .created = created,
                   .num_tokens = static_cast<std::int64_t>(session->tokens.size()),
                   .bytes = session->bytes()};
  const std::lock_guard lock(mutex_);
  const auto old = sessions_.find(name);
  std::size_t freed = 0;
  if (old != sessions_.end() && old->second.session != session && names_of(old->second.session.get()) == 1) {
    freed = old->second.info.bytes;
  }
  const std::size_t added = names_of(session.get()) == 0 ? info.bytes : 0;
  if (bytes_ - freed + added > max_bytes_) {
    return Error{.code = ErrorCode::kResourceExhausted,
                 .message = "the session " + name + " has " + std::to_string(info.bytes) + " bytes, and " +
                            std::to_string(bytes_ - freed) + " of --session-memory " + std::to_string(max_bytes_) +
                            " are in use; delete a session, or start the server with more",
                 .field = "name"};
  }
  bytes_ = bytes_ - freed + added;
  sessions_[name] = {.session = std::move(session), .info = info};
  return info;
}

Result<NamedSession> SessionStore::find(const std::string& name, const std::string& field) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(name);
  if (found == sessions_.end()) return unknown(name, field);
  return found->second;
}

Status SessionStore::erase(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(name);
  if (found == sessions_.end()) return unknown(name, "name");
  if (names_of(found->second.session.get()) == 1) bytes_ -= found->second.info.bytes;
  sessions_.erase(found);
  return ok_status();
}

std::vector<SessionInfo> SessionStore::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<SessionInfo> all;
  for (const auto& [name, entry] : sessions_) all.push_back(entry.info);
  return all;
}

}  // namespace krait::server
