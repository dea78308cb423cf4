#include "server/service/session_service.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <map>
#include <utility>

#include "server/service/service.h"
#include "server/service/session_images.h"

namespace krait::server {
namespace {

/// One that saves a long context keeps nobody else from going on.
constexpr int kThreads = 2;

std::int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Makes it one of this model's sessions. Errors: kInvalidArgument when it is not.
Status give_to(const ServedModel& model, Session& session) {
  session.model = model.name;
  return check_image(*model.engine, session);
}

/// A file that this server, or one before it, has written.
Result<ReadSession> read_own(const SessionDirectory& directory, const std::string& name, const ServedModel& model) {
  const Result<std::string> bytes = directory.read(name);
  if (!bytes.ok()) return bytes.error();
  Result<ReadSession> read = read_session_file(*bytes);
  if (!read.ok()) return read;
  if (Status status = give_to(model, read->session); !status.ok()) return std::move(status).error();
  return read;
}

}  // namespace

SessionService::SessionService(const SessionOptions& options, FindModel find_model)
    : find_model_(std::move(find_model)),
      store_(options.max_bytes),
      directory_(options.directory.empty() ? nullptr : std::make_unique<SessionDirectory>(options.directory)),
      threads_(kThreads) {}

void SessionService::save(std::string name, std::string request_id, Saved done) {
  threads_.queue()->post([this, name = std::move(name), request_id = std::move(request_id), done = std::move(done)] {
    done(save_now(name, request_id));
  });
}

Result<SessionInfo> SessionService::save_now(const std::string& name, const std::string& request_id) {
  if (Status status = check_session_name(name, "name"); !status.ok()) return std::move(status).error();
  const auto request = recent_.find(request_id);
  if (!request.ok()) return request.error();
  const Result<ServedModel> model = find_model_((*request)->model);
  if (!model.ok()) return model.error();
  Session session{.model = model->name,
                  .cache_salt = (*request)->cache_salt,
                  .isolation = (*request)->isolation,
                  .tokens = (*request)->tokens,
                  .messages = (*request)->messages,
                  .image = {}};
  Result<std::string> image = take_image(*model->engine, session.salt(), session.tokens);
  if (!image.ok()) return std::move(image).error();
  session.image = std::move(*image);
  return keep(name, std::make_shared<const Session>(std::move(session)), seconds_since_1970());
}

void SessionService::load(std::string name, std::string bytes, Saved done) {
  threads_.queue()->post([this, name = std::move(name), bytes = std::move(bytes), done = std::move(done)] {
    done(load_now(name, bytes));
  });
}

Result<SessionInfo> SessionService::load_now(const std::string& name, const std::string& bytes) {
  if (Status status = check_session_name(name, "name"); !status.ok()) return std::move(status).error();
  Result<ReadSession> read = read_session_file(bytes);
  if (!read.ok()) return std::move(read).error();
  // Servers may call one model by different names: what it is, the image says.
  Result<ServedModel> model = find_model_(read->session.model);
  if (!model.ok()) model = find_model_({});
  if (!model.ok()) return std::move(model).error();
  read->session.isolation = make_request_id("");
  if (Status status = give_to(*model, read->session); !status.ok()) return std::move(status).error();
  return keep(name, std::make_shared<const Session>(std::move(read->session)), read->created);
}

Result<SessionInfo> SessionService::keep(const std::string& name, std::shared_ptr<const Session> session,
                                         std::int64_t created) {
  const std::lock_guard lock(directory_mutex_);
  Result<SessionInfo> info = store_.put(name, session, created);
  if (!info.ok() || directory_ == nullptr) return info;
  Status status = directory_->write(name, make_session_file(std::move(session), created));
  if (status.ok()) return info;
  spdlog::error("the session {} is in memory only: {}", name, status.error().message);
  return std::move(status).error();
}

void SessionService::read_directory(const ServedModel& model) {
  if (directory_ == nullptr) return;
  const std::lock_guard lock(directory_mutex_);
  std::map<std::uint64_t, NamedSession> by_file;
  int found = 0;
  for (const SessionDirectory::Entry& entry : directory_->list()) {
    if (store_.find(entry.name, {}).ok()) continue;  // taken by a model that came before
    Status status = ok_status();
    if (!by_file.contains(entry.file)) {
      Result<ReadSession> read = read_own(*directory_, entry.name, model);
      if (read.ok()) {
        by_file[entry.file] = {.session = std::make_shared<const Session>(std::move(read->session)),
                               .info = {.created = read->created}};
      } else {
        status = std::move(read).error();
      }
    }
    if (status.ok()) {
      const NamedSession& session = by_file[entry.file];
      const Result<SessionInfo> info = store_.put(entry.name, session.session, session.info.created);
      if (info.ok()) {
        ++found;
        continue;
      }
      status = info.error();
    }
    spdlog::warn("{} is left out: {}", directory_->path_of(entry.name), status.error().message);
  }
  if (found > 0) spdlog::info("  {} sessions found again", found);
}

void SessionService::file(const std::string& name, std::function<void(Result<SessionFile>)> done) {
  Result<NamedSession> found = store_.find(name, "name");
  if (!found.ok()) return done(std::move(found).error());
  threads_.queue()->post([found = std::move(*found), done = std::move(done)] {
    done(make_session_file(found.session, found.info.created));
  });
}

Result<SessionInfo> SessionService::fork(const std::string& name, const std::string& new_name) {
  if (Status status = check_session_name(new_name, "name"); !status.ok()) return std::move(status).error();
  Result<NamedSession> found = store_.find(name, "");
  if (!found.ok()) return std::move(found).error();
  const std::lock_guard lock(directory_mutex_);
  Result<SessionInfo> info = store_.put(new_name, std::move(found->session), seconds_since_1970());
  if (!info.ok() || directory_ == nullptr) return info;
  if (Status status = directory_->fork(name, new_name); !status.ok()) return std::move(status).error();
  return info;
}

Status SessionService::erase(const std::string& name) {
  const std::lock_guard lock(directory_mutex_);
  Status status = store_.erase(name);
  if (!status.ok() || directory_ == nullptr) return status;
  return directory_->erase(name);
}

void SessionService::restore(std::shared_ptr<const Session> session, std::function<void()> done) {
  threads_.queue()->post([this, session = std::move(session), done = std::move(done)] {
    const Result<ServedModel> model = find_model_(session->model);
    if (model.ok()) {
      const Status status = restore_image(*model->engine, *session);
      if (!status.ok()) spdlog::debug("a session is computed again: {}", status.error().message);
    }
    done();
  });
}

}  // namespace krait::server
