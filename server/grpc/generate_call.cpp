#include "server/grpc/generate_call.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/grpc/message_conversion.h"
#include "server/service/error_mapping.h"

namespace krait::server {

grpc::Status to_status(const Error& error) {
  return {static_cast<grpc::StatusCode>(error_mapping(error.code).grpc_status), error.message};
}

GenerateCall::GenerateCall(grpc::CallbackServerContext& context, const Error& error) : context_(context) {
  fail(error);
}

GenerateCall::GenerateCall(grpc::CallbackServerContext& context, const v1::GenerateRequest& message, Service& service)
    : context_(context) {
  Result<GenerationRequest> request = to_generation_request(message);
  if (!request.ok()) {
    fail(request.error());
    return;
  }
  logprobs_ = request->sampling.logprobs.has_value();
  generation_ = service.generate(std::move(*request));
  // gRPC takes writes only once the reactor has been handed to it; it queues those that come before. The listener may
  // fire at once, on another thread, while this constructor still runs: nothing is set after this line.
  generation_->set_listener([this] { pump(); });
}

/// Starts the next write when none is under way. Called after every event and after every write, so one of them sees
/// the other.
void GenerateCall::pump() {
  const std::lock_guard lock(mutex_);
  if (writing_ || finished_) return;
  auto event = generation_->try_pop();
  if (!event.has_value()) return;
  if (const auto* error = std::get_if<Error>(&*event)) return fail(*error);
  response_ = to_response(*event, generation_->id(), generation_->model(), logprobs_);
  writing_ = true;
  if (!is_last(*event)) return StartWrite(&response_);
  finished_ = true;
  const Usage& usage = std::get<Completed>(*event).usage;
  outcome_ =
      "OK prompt=" + std::to_string(usage.prompt_tokens) + " generated=" + std::to_string(usage.completion_tokens);
  StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
}

void GenerateCall::OnWriteDone(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok && !finished_) return finish({grpc::StatusCode::CANCELLED, "the client went away"});
  }
  pump();
}

void GenerateCall::OnCancel() {
  if (generation_ != nullptr) generation_->cancel();
}

void GenerateCall::fail(const Error& error) {
  if (!error.field.empty()) context_.AddTrailingMetadata("x-krait-field", error.field);
  finish(to_status(error));
}

/// Ends the call with a status; gRPC then calls OnDone. Under the lock, or before there is anybody to share with.
void GenerateCall::finish(grpc::Status status) {
  finished_ = true;
  outcome_ =
      "status=" + std::to_string(static_cast<int>(status.error_code())) + " error=\"" + status.error_message() + "\"";
  Finish(std::move(status));
}

void GenerateCall::OnDone() {
  const double took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  spdlog::info("gRPC Generate {:.1f} ms id={} {}", took, generation_ == nullptr ? "-" : generation_->id(), outcome_);
  generation_.reset();
  delete this;
}

}  // namespace krait::server
