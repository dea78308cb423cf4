#pragma once

#include <grpcpp/grpcpp.h>
#include <krait/v1/inference.pb.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "server/service/service.h"

namespace krait::server {

/// The status of an error: its code by the table, its message, and the field's name in trailing metadata
/// `x-krait-field`.
grpc::Status to_status(const Error& error);

/// One Generate call. Owns itself: gRPC calls OnDone last, which deletes it. Events come from workers' threads and
/// writes end on gRPC's, so its state has a lock; at most one write is under way.
class GenerateCall : public grpc::ServerWriteReactor<v1::GenerateResponse> {
 public:
  GenerateCall(grpc::CallbackServerContext& context, const v1::GenerateRequest& request, Service& service);
  /// Ends a call before it began.
  GenerateCall(grpc::CallbackServerContext& context, const Error& error);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void pump();
  void finish(grpc::Status status);
  void fail(const Error& error);

  grpc::CallbackServerContext& context_;
  std::unique_ptr<Generation> generation_;
  bool logprobs_ = false;
  std::mutex mutex_;
  v1::GenerateResponse response_;  ///< must live until its write ends
  bool writing_ = false;
  bool finished_ = false;
  std::string outcome_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace krait::server
