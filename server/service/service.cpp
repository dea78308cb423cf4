#include "server/service/service.h"

#include <cstdio>
#include <random>
#include <utility>

#include "server/service/request_run.h"
#include "server/service/session_prompt.h"
#include "server/service/validation.h"

namespace krait::server {
namespace {

/// A generation that has only an error.
std::unique_ptr<Generation> refused(const GenerationRequest& request, Error error) {
  auto events = std::make_shared<EventQueue>();
  events->push(std::move(error));
  return std::make_unique<Generation>(request.id, request.model, std::move(events), std::function<void()>());
}

/// Every reason why nothing is served now is one code: clients should try again.
Error unavailable(std::string reason) {
  return Error{.code = ErrorCode::kUnavailable, .message = std::move(reason), .field = {}};
}

}  // namespace

Error sessions_off(const std::string& field) {
  return Error{.code = ErrorCode::kUnsupported,
               .message = (field.empty() ? std::string() : field + ": ") +
                          "sessions are off; start the server with --enable-sessions",
               .field = field};
}

std::string make_request_id(const std::string& prefix) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  char digits[33];
  std::snprintf(digits, sizeof digits, "%016llx%08llx", static_cast<unsigned long long>(generator()),
                static_cast<unsigned long long>(generator() >> 32));
  return prefix + digits;
}

Service::Service(int worker_threads, ServiceObserver* observer) : observer_(observer), workers_(worker_threads) {}

void Service::add_model(ServedModel model) {
  if (sessions_ != nullptr) sessions_->read_directory(model);
  std::lock_guard lock(mutex_);
  models_.push_back(std::move(model));
}

std::vector<ServedModel> Service::models() const {
  std::lock_guard lock(mutex_);
  return models_;
}

Result<ServedModel> Service::find_model(const std::string& name) const {
  std::lock_guard lock(mutex_);
  if (models_.empty()) return unavailable("the model is still loading");
  if (name.empty()) return models_.front();
  std::string known;
  for (const ServedModel& model : models_) {
    if (model.name == name) return model;
    known += (known.empty() ? "" : ", ") + model.name;
  }
  return Error{.code = ErrorCode::kNotFound,
               .message = "the model '" + name + "' does not exist here; served models: " + known,
               .field = "model"};
}

std::unique_ptr<Generation> Service::generate(GenerationRequest request) {
  if (request.id.empty()) request.id = make_request_id("gen-");
  Result<std::shared_ptr<const Session>> session = open_session(request);
  if (!session.ok()) return refused(request, std::move(session).error());
  Result<ServedModel> model = find_ready(request.model);
  if (!model.ok()) return refused(request, std::move(model).error());
  apply_defaults(model->defaults, request.sampling);
  if (Status status = validate(request, model->limits); !status.ok())
    return refused(request, std::move(status).error());

  std::string id = request.id;
  std::string name = model->name;
  auto run = std::make_shared<RequestRun>(std::move(request), std::move(*model), std::move(*session),
                                          RunContext{.workers = workers_.queue(),
                                                     .observer = observer_,
                                                     .queue_times = &queue_times_,
                                                     .sessions = sessions_.get()});
  run->start();
  auto events = run->events();
  // The reader's hold is the run's only owner beside its jobs.
  return std::make_unique<Generation>(std::move(id), std::move(name), std::move(events), [run] { run->cancel(); });
}

void Service::enable_sessions(const SessionOptions& options) {
  sessions_ = std::make_unique<SessionService>(options, [this](const std::string& name) { return find_model(name); });
}

Result<std::shared_ptr<const Session>> Service::open_session(GenerationRequest& request) const {
  if (request.session.empty()) return std::shared_ptr<const Session>();
  if (sessions_ == nullptr) return sessions_off("session");
  Result<NamedSession> found = sessions_->find(request.session, "session");
  if (!found.ok()) return std::move(found).error();
  if (Status status = continue_session(*found->session, request); !status.ok()) return std::move(status).error();
  return std::move(found->session);
}

void Service::tokenize(TokenizeRequest request, std::function<void(Result<Tokenized>)> done) {
  Result<ServedModel> model = find_ready(request.model);
  if (!model.ok()) return done(std::move(model).error());
  workers_.queue()->post([request = std::move(request), model = std::move(*model), done = std::move(done)] {
    done(server::tokenize(request, model));
  });
}

void Service::detokenize(DetokenizeRequest request, std::function<void(Result<std::string>)> done) {
  Result<ServedModel> model = find_ready(request.model);
  if (!model.ok()) return done(std::move(model).error());
  workers_.queue()->post([request = std::move(request), model = std::move(*model), done = std::move(done)] {
    done(server::detokenize(request, model));
  });
}

void Service::start_draining() {
  std::lock_guard lock(mutex_);
  draining_ = true;
}

Result<ServedModel> Service::find_ready(const std::string& name) const {
  Result<ServedModel> model = find_model(name);
  if (!model.ok()) return model;
  if (Status status = check_ready(*model); !status.ok()) return std::move(status).error();
  return model;
}

Status Service::check_ready(const ServedModel& model) const {
  std::lock_guard lock(mutex_);
  if (draining_) return unavailable("the server is shutting down");
  if (!model.engine->ready()) return unavailable("the engine is not running");
  return ok_status();
}

bool Service::ready() const { return not_ready_reason().empty(); }

std::string Service::not_ready_reason() const {
  const Result<ServedModel> model = find_model({});
  if (!model.ok()) return model.error().message;
  const Status status = check_ready(*model);
  return status.ok() ? std::string() : status.error().message;
}

}  // namespace krait::server
