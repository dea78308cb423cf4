#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/service/generation.h"
#include "server/service/generation_request.h"
#include "server/service/queue_times.h"
#include "server/service/served_model.h"
#include "server/service/service_observer.h"
#include "server/service/session_service.h"
#include "server/service/tokenization.h"
#include "server/service/worker_pool.h"

namespace krait::server {

/// Maps a model's name to its engine and serves requests. What HTTP, gRPC and the command line call; knows none of
/// them. Thread-safe.
class Service {
 public:
  explicit Service(int worker_threads = 2, ServiceObserver* observer = nullptr);

  /// Starts to serve a model. Before the first one, requests are answered "loading". A second name may share an engine.
  /// The sessions that the directory has are there from its first request on.
  void add_model(ServedModel model);
  [[nodiscard]] std::vector<ServedModel> models() const;
  /// The named model, or the first for an empty name.
  [[nodiscard]] Result<ServedModel> find_model(const std::string& name) const;

  /// From now on requests may be saved and gone on with. Call it before the first model is added.
  void enable_sessions(const SessionOptions& options);
  /// Null when sessions are off.
  [[nodiscard]] SessionService* sessions() const { return sessions_.get(); }

  /// Never fails itself: what is wrong with a request arrives as its first event. Returns at once.
  std::unique_ptr<Generation> generate(GenerationRequest request);

  /// `done` is called once, on a worker's thread; or at once, on the caller's, when the model cannot be asked.
  void tokenize(TokenizeRequest request, std::function<void(Result<Tokenized>)> done);
  void detokenize(DetokenizeRequest request, std::function<void(Result<std::string>)> done);

  /// How long requests wait at present.
  [[nodiscard]] const QueueTimes& queue_times() const { return queue_times_; }

  /// From now on every request is refused with kUnavailable; what runs goes on (the engines drain themselves).
  void start_draining();
  /// True when a request would be served.
  [[nodiscard]] bool ready() const;
  /// Why not, in words.
  [[nodiscard]] std::string not_ready_reason() const;

 private:
  /// The named model, if it would serve a request.
  [[nodiscard]] Result<ServedModel> find_ready(const std::string& name) const;
  /// The session that the request goes on with, which is changed accordingly; null: none.
  Result<std::shared_ptr<const Session>> open_session(GenerationRequest& request) const;
  Status check_ready(const ServedModel& model) const;

  mutable std::mutex mutex_;
  std::vector<ServedModel> models_;
  bool draining_ = false;
  ServiceObserver* observer_;
  QueueTimes queue_times_;
  std::unique_ptr<SessionService> sessions_;
  WorkerPool workers_;  // last: its threads end before anything that their jobs use
};

/// What is wrong with a request that needs sessions, where there are none.
Error sessions_off(const std::string& field);

/// An id that no other request of this process has: `prefix` and random letters.
std::string make_request_id(const std::string& prefix);

}  // namespace krait::server
